"""Leases of departures, and indexes that hold all that the outbox's depth and a creator's erasures need."""

import sqlalchemy as sa
from alembic import op

revision = "feedback_3"
down_revision = "feedback_2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns of leases, and widen two indexes, so that a long backlog's rows are not read."""
    op.add_column("leaving", sa.Column("claimed_by", sa.Text))
    op.add_column("leaving", sa.Column("claimed_until", sa.Double))
    op.drop_index("feedback_since", "feedback")
    op.create_index("feedback_since", "feedback", ["state", "since", "bytes"])
    op.drop_index("feedback_creator", "feedback")
    op.create_index("feedback_creator", "feedback", ["creator", "state"])
