"""Migrations of the section transfers."""
