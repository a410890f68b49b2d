"""Creators' saved captions: the table that files from before the migrations have."""

import sqlalchemy as sa
from alembic import op

revision = "voices_1"
down_revision = None
branch_labels = ("voices",)
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "captions",
        sa.Column("creator", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("caption", sa.Text, nullable=False),
        sa.Column("added", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("creator", "id"),
        if_not_exists=True,
    )
