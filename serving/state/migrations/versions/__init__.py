"""Migrations, a folder for each section."""
