"""Photos of what waits in the outbox, in rows of their own: to claim an entry or mark it as done writes a small row."""

import sqlalchemy as sa
from alembic import op

revision = "feedback_5"
down_revision = "feedback_4"
branch_labels = None
depends_on = None

_SQLITE = "CREATE TRIGGER {name} AFTER {event} ON feedback {when} BEGIN {delete}; END"
_POSTGRESQL = "CREATE TRIGGER {name} AFTER {event} ON feedback FOR EACH ROW {when} EXECUTE FUNCTION drop_photo()"
_DELETE = "DELETE FROM waiting_photos WHERE number = OLD.number"
_EVENTS = {
    "photo_done": ("UPDATE OF state", "WHEN (OLD.state = 'waiting' AND NEW.state <> 'waiting')"),
    "photo_removed": ("DELETE", "WHEN (OLD.state = 'waiting')"),
}


def upgrade() -> None:
    """Create the table, and the triggers that empty it: older replicas change the outbox during an upgrade, too.

    Photos that wait already stay where they are until they are delivered: there may be many gigabytes of them.
    """
    op.create_table(
        "waiting_photos",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
        sa.Column("photo", sa.LargeBinary, nullable=False),
    )
    sqlite = op.get_bind().dialect.name == "sqlite"
    if not sqlite:
        # A JPEG does not get smaller.
        op.execute("ALTER TABLE waiting_photos ALTER COLUMN photo SET STORAGE EXTERNAL")
        op.execute(
            f"CREATE FUNCTION drop_photo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {_DELETE}; RETURN NULL; END $$"
        )
    for name, (event, when) in _EVENTS.items():
        op.execute((_SQLITE if sqlite else _POSTGRESQL).format(name=name, event=event, when=when, delete=_DELETE))
