"""Migrations of the section keys."""
