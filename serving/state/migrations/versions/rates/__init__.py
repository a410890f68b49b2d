"""Migrations of the section rates."""
