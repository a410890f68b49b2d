"""Schema of the state, for SQLAlchemy. `serving.state.migrations` creates it and changes it."""

from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
)


class Section(StrEnum):
    """Part of the state with migrations of its own. SQLite has a file for each; in PostgreSQL they are together."""

    FEEDBACK = "feedback"
    VOICES = "voices"
    KEYS = "keys"
    RATES = "rates"
    TRANSFERS = "transfers"


DERIVED = "derived"
"""What the info of a table has whose rows the database makes of another table's."""

SCHEMAS = {section: MetaData() for section in Section}

cached_requests = Table(
    "kept",
    SCHEMAS[Section.FEEDBACK],
    Column("request", Text, primary_key=True),
    Column("creator", Text, nullable=False),
    Column("until", Double, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("content", Text, nullable=False),
    Column("photo", LargeBinary, nullable=False),
    Index("kept_creator", "creator", "bytes"),
)

outbox = Table(
    "feedback",
    SCHEMAS[Section.FEEDBACK],
    # SQLite counts up only in a column of this very type.
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("creator", Text, nullable=False),
    Column("submission", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("since", Double, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("request", Text),
    Column("record", Text),
    # Of what an earlier version accepted. Others have theirs in `outbox_photos`.
    Column("photo", LargeBinary),
    Column("claimed_by", Text),
    Column("claimed_until", Double),
    sqlite_autoincrement=True,
)
Index("feedback_waiting", outbox.c.state, outbox.c.number)
Index("feedback_creator", outbox.c.creator, outbox.c.state)
Index(
    "feedback_claimed",
    outbox.c.claimed_by,
    sqlite_where=outbox.c.claimed_by.is_not(None),
    postgresql_where=outbox.c.claimed_by.is_not(None),
)
Index("feedback_since", outbox.c.state, outbox.c.since, outbox.c.bytes)

outbox_photos = Table(
    "waiting_photos",
    SCHEMAS[Section.FEEDBACK],
    # The entry's number. Triggers of the outbox remove the photo when its entry no longer waits.
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("photo", LargeBinary, nullable=False),
)

waiting_bytes = Table(
    "waiting",
    SCHEMAS[Section.FEEDBACK],
    # The empty text: all creators together.
    Column("creator", Text, primary_key=True),
    Column("bytes", BigInteger, nullable=False),
    # Triggers of the outbox write it.
    info={DERIVED: True},
)

departures = Table(
    "leaving",
    SCHEMAS[Section.FEEDBACK],
    Column("creator", Text, primary_key=True),
    Column("asked", Double, nullable=False),
    Column("claimed_by", Text),
    Column("claimed_until", Double),
)

ratings = Table(
    "rated",
    SCHEMAS[Section.FEEDBACK],
    Column("mark", Text, primary_key=True),
    Column("since", Double, nullable=False),
)

unsynced_captions = Table(
    "unlearnt",
    SCHEMAS[Section.FEEDBACK],
    Column("id", Text, primary_key=True),
    Column("creator", Text, nullable=False),
    Column("caption", Text, nullable=False),
)

captions = Table(
    "captions",
    SCHEMAS[Section.VOICES],
    Column("creator", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("caption", Text, nullable=False),
    Column("added", Double, nullable=False),
    PrimaryKeyConstraint("creator", "id"),
)

keys = Table(
    "keys",
    SCHEMAS[Section.KEYS],
    Column("id", Text, primary_key=True),
    Column("digest", Text, nullable=False, unique=True),
    Column("creator", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("expires", Double),
    Column("revoked", Double),
)

former_creators = Table(
    "former",
    SCHEMAS[Section.KEYS],
    Column("id", Text, primary_key=True),
    Column("creator", Text, nullable=False),
)

rates = Table(
    "rates",
    SCHEMAS[Section.RATES],
    Column("key", Text, nullable=False),
    Column("window", BigInteger, nullable=False),
    Column("hits", BigInteger, nullable=False),
    Column("expires", Double, nullable=False),
    PrimaryKeyConstraint("key", "window"),
    # A crash of the server empties it, which gives creators one more minute's worth.
    prefixes=["UNLOGGED"],
)
Index("rates_expires", rates.c.expires)

transfers = Table(
    "transfers",
    SCHEMAS[Section.TRANSFERS],
    Column("source", Text, primary_key=True),
    Column("finished", Double, nullable=False),
)
