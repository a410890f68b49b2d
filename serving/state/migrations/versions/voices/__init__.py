"""Migrations of the section voices."""
