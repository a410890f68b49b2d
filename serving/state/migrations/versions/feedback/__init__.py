"""Migrations of the section feedback."""
