"""Leases of outbox entries, so that of several workers one at a time delivers an entry."""

import sqlalchemy as sa
from alembic import op

revision = "feedback_2"
down_revision = "feedback_1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns of leases, and their index."""
    op.add_column("feedback", sa.Column("claimed_by", sa.Text))
    op.add_column("feedback", sa.Column("claimed_until", sa.Double))
    op.create_index(
        "feedback_claimed",
        "feedback",
        ["claimed_by"],
        sqlite_where=sa.text("claimed_by IS NOT NULL"),
        postgresql_where=sa.text("claimed_by IS NOT NULL"),
    )
