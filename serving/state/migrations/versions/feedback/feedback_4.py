"""Bytes that wait in the outbox, counted by the database, so that the check for room reads two rows of any backlog."""

import sqlalchemy as sa
from alembic import op

revision = "feedback_4"
down_revision = "feedback_3"
branch_labels = None
depends_on = None

_SQLITE = (
    """
    CREATE TRIGGER waiting_added AFTER INSERT ON feedback WHEN NEW.bytes <> 0 BEGIN
        INSERT INTO waiting (creator, bytes) VALUES ('', NEW.bytes), (NEW.creator, NEW.bytes)
            ON CONFLICT (creator) DO UPDATE SET bytes = bytes + excluded.bytes;
    END
    """,
    """
    CREATE TRIGGER waiting_changed AFTER UPDATE OF creator, bytes ON feedback
    WHEN NEW.bytes <> OLD.bytes OR NEW.bytes <> 0 AND NEW.creator <> OLD.creator BEGIN
        INSERT INTO waiting (creator, bytes)
            VALUES ('', NEW.bytes - OLD.bytes), (OLD.creator, -OLD.bytes), (NEW.creator, NEW.bytes)
            ON CONFLICT (creator) DO UPDATE SET bytes = bytes + excluded.bytes;
        DELETE FROM waiting WHERE creator IN (OLD.creator, NEW.creator) AND bytes = 0;
    END
    """,
    """
    CREATE TRIGGER waiting_removed AFTER DELETE ON feedback WHEN OLD.bytes <> 0 BEGIN
        INSERT INTO waiting (creator, bytes) VALUES ('', -OLD.bytes), (OLD.creator, -OLD.bytes)
            ON CONFLICT (creator) DO UPDATE SET bytes = bytes + excluded.bytes;
        DELETE FROM waiting WHERE creator = OLD.creator AND bytes = 0;
    END
    """,
)

_POSTGRESQL = """
    CREATE FUNCTION count_waiting_{name}() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        change record;
        remaining bigint;
    BEGIN
        -- The sum of all comes first: whoever has its row counts, and the others wait without a deadlock.
        FOR change IN
            WITH changes AS (
                SELECT creator, sum(bytes) AS bytes FROM ({rows}) AS changed GROUP BY creator HAVING sum(bytes) <> 0
            )
            SELECT '' AS creator, sum(bytes) AS bytes FROM changes HAVING count(*) > 0
            UNION ALL SELECT creator, bytes FROM changes ORDER BY creator
        LOOP
            INSERT INTO waiting AS counted (creator, bytes) VALUES (change.creator, change.bytes)
                ON CONFLICT (creator) DO UPDATE SET bytes = counted.bytes + EXCLUDED.bytes
                RETURNING counted.bytes INTO remaining;
            IF remaining = 0 AND change.creator <> '' THEN
                DELETE FROM waiting WHERE creator = change.creator;
            END IF;
        END LOOP;
        RETURN NULL;
    END
    $$
    """

_ADDED, _REMOVED = "SELECT creator, bytes FROM added", "SELECT creator, -bytes AS bytes FROM removed"
_EVENTS = {
    "insert": ("NEW TABLE AS added", _ADDED),
    "update": ("NEW TABLE AS added OLD TABLE AS removed", f"{_ADDED} UNION ALL {_REMOVED}"),
    "delete": ("OLD TABLE AS removed", _REMOVED),
}


def upgrade() -> None:
    """Create the counts, and the triggers that keep them: older replicas change the outbox during an upgrade, too."""
    op.create_table(
        "waiting",
        sa.Column("creator", sa.Text, primary_key=True),
        sa.Column("bytes", sa.BigInteger, nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        for statement in _SQLITE:
            op.execute(statement)
    else:
        for name, (tables, rows) in _EVENTS.items():
            op.execute(_POSTGRESQL.format(name=name, rows=rows))
            op.execute(
                f"CREATE TRIGGER waiting_{name} AFTER {name} ON feedback REFERENCING {tables} "
                f"FOR EACH STATEMENT EXECUTE FUNCTION count_waiting_{name}()"
            )
    op.drop_index("feedback_waiting_bytes", "feedback")
    # Creating the triggers has locked the table in PostgreSQL: nothing was added before this counts.
    op.execute(
        "INSERT INTO waiting (creator, bytes) SELECT creator, sum(bytes) FROM feedback WHERE bytes > 0 GROUP BY creator"
    )
    op.execute(
        "INSERT INTO waiting (creator, bytes) SELECT '', sum(bytes) FROM feedback WHERE bytes > 0 HAVING count(*) > 0"
    )
