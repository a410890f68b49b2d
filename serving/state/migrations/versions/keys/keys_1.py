"""API keys and creators' former ids: the tables that files from before the migrations have."""

import sqlalchemy as sa
from alembic import op

revision = "keys_1"
down_revision = None
branch_labels = ("keys",)
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False, unique=True),
        sa.Column("creator", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("expires", sa.Double),
        sa.Column("revoked", sa.Double),
        if_not_exists=True,
    )
    op.create_table(
        "former",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("creator", sa.Text, nullable=False),
        if_not_exists=True,
    )
