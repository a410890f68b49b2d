"""Outbox of feedback, kept requests, departures, ratings: the tables that files from before the migrations have."""

import sqlalchemy as sa
from alembic import op

revision = "feedback_1"
down_revision = None
branch_labels = ("feedback",)
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "kept",
        sa.Column("request", sa.Text, primary_key=True),
        sa.Column("creator", sa.Text, nullable=False),
        sa.Column("until", sa.Double, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("photo", sa.LargeBinary, nullable=False),
        if_not_exists=True,
    )
    op.create_index("kept_creator", "kept", ["creator", "bytes"], if_not_exists=True)
    op.create_table(
        "feedback",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("creator", sa.Text, nullable=False),
        sa.Column("submission", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("since", sa.Double, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("request", sa.Text),
        sa.Column("record", sa.Text),
        sa.Column("photo", sa.LargeBinary),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
    op.create_index("feedback_waiting", "feedback", ["state", "number"], if_not_exists=True)
    op.create_index("feedback_creator", "feedback", ["creator"], if_not_exists=True)
    op.create_index("feedback_since", "feedback", ["state", "since"], if_not_exists=True)
    op.create_index(
        "feedback_waiting_bytes",
        "feedback",
        ["creator", "bytes"],
        sqlite_where=sa.text("bytes > 0"),
        postgresql_where=sa.text("bytes > 0"),
        if_not_exists=True,
    )
    op.drop_index("feedback_bytes", if_exists=True)
    op.create_table(
        "leaving",
        sa.Column("creator", sa.Text, primary_key=True),
        sa.Column("asked", sa.Double, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "rated",
        sa.Column("mark", sa.Text, primary_key=True),
        sa.Column("since", sa.Double, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "unlearnt",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("creator", sa.Text, nullable=False),
        sa.Column("caption", sa.Text, nullable=False),
        if_not_exists=True,
    )
