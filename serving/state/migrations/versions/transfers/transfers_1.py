"""Record of the SQLite state that was moved here."""

import sqlalchemy as sa
from alembic import op

revision = "transfers_1"
down_revision = None
branch_labels = ("transfers",)
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "transfers",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("finished", sa.Double, nullable=False),
    )
