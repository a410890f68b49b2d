"""Counters of rate limits."""

import sqlalchemy as sa
from alembic import op

revision = "rates_1"
down_revision = None
branch_labels = ("rates",)
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "rates",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("window", sa.BigInteger, nullable=False),
        sa.Column("hits", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("key", "window"),
        prefixes=["UNLOGGED"],
    )
    op.create_index("rates_expires", "rates", ["expires"])
