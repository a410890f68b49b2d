"""Migrations of the state (Alembic), a branch for each section."""
