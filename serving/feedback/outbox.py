"""Feedback and erasures on their way to the store: on the disk before anybody is told that they are accepted."""

import time
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from serving.creators import NOBODY
from serving.feedback.database import Database
from snap2caption.errors import UserError
from snap2caption.feedback import Feedback, owner_of

_REMEMBERED = 30 * 24 * 3600.0
"""Seconds that what is done is remembered, by its id: so long the same submission is known here. Later the store knows it."""


class OutboxState(StrEnum):
    """Where a feedback is."""

    WAITING = "waiting"
    STORED = "stored"
    ERASING = "erasing"
    ERASED = "erased"


class OutboxFullError(UserError):
    """As much waits for the store as may."""


@dataclass(frozen=True, slots=True)
class KnownFeedback:
    """A feedback that came here: whose, the digest of what was submitted, the request that it is about, and where it is."""

    creator: str
    """Of one that was erased only what an erasure keeps of them: see `owner_of`."""
    submission: str
    request: str | None
    state: OutboxState


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """What is to be done in the store: put a feedback with its photo, or erase one."""

    id: str
    creator: str
    feedback: Feedback | None
    """None: erase it."""
    photo: bytes


@dataclass(frozen=True, slots=True)
class UnsyncedCaption:
    """A caption of a creator's own that is not known to be their voice yet, and the feedback that it came with."""

    id: str
    creator: str
    caption: str


@dataclass(frozen=True, slots=True)
class OutboxDepth:
    """How much waits, and the seconds that the oldest has waited."""

    feedback: int
    erasures: int
    oldest: float


class Outbox:
    """What waits for the store, at most *most* bytes of it, in the order in which it came.

    A creator may take as much as they leave to others: half of it alone, a third beside another. Where no keys are asked for, all of it.
    """

    def __init__(self, database: Database, *, most: int) -> None:
        self._database = database
        self._most = most

    def add(self, feedback: Feedback, photo: bytes, submission: str) -> KnownFeedback | None:
        """Have a feedback wait for the store; if one of its id came before, change nothing and return what is known of that.

        Raises:
            OutboxFullError: too much waits already.
            DiskError: there is no room on the disk.
        """
        record, words = feedback.model_dump_json(), feedback.own_words
        size = len(record) + len(photo)
        with self._database.transaction() as connection:
            if known := _known(connection.execute(_LOOK, (feedback.id,)).fetchone()):
                return known
            waiting = Counter(dict(connection.execute(_WAITING_BYTES).fetchall()))
            theirs = size if feedback.creator == NOBODY else 2 * size + waiting[feedback.creator]
            if waiting.total() + theirs > self._most:
                raise OutboxFullError("Too much feedback waits for the store; send it again later.")
            connection.execute(
                "INSERT INTO feedback (id, creator, submission, state, since, bytes, request, record, photo) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    feedback.id,
                    feedback.creator,
                    submission,
                    OutboxState.WAITING,
                    time.time(),
                    size,
                    feedback.request_id,
                    record,
                    photo,
                ),
            )
            if words is not None and words.caption:
                connection.execute(
                    "INSERT INTO unlearnt VALUES (?, ?, ?)", (feedback.id, feedback.creator, words.caption)
                )
        return None

    def is_first_rating(self, creator: str, request: str, variant: int) -> bool:
        """Whether a creator had not rated that caption of that request before; from now on they have.

        What is kept of it names nobody.
        """
        mark = owner_of(f"{request} {variant}", creator)
        with self._database.transaction() as connection:
            return connection.execute("INSERT OR IGNORE INTO rated VALUES (?, ?)", (mark, time.time())).rowcount == 1

    def unlearned(self) -> list[UnsyncedCaption]:
        """Return the captions that are still to become their creators' voices, in order."""
        with self._database.transaction() as connection:
            rows = connection.execute("SELECT id, creator, caption FROM unlearnt ORDER BY rowid").fetchall()
        return [UnsyncedCaption(*row) for row in rows]

    def learned(self, identifier: str) -> None:
        """Note that the caption which came with a feedback is its creator's voice."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM unlearnt WHERE id = ?", (identifier,))

    def look(self, identifier: str) -> KnownFeedback | None:
        """Return what is known here of a feedback."""
        with self._database.transaction() as connection:
            return _known(connection.execute(_LOOK, (identifier,)).fetchone())

    def erase(self, identifier: str, creator: str) -> None:
        """Drop what waits of a feedback, and have the store's copies erased. The caller knows that it is the creator's."""
        with self._database.transaction() as connection:
            connection.execute(_ERASE, {"id": identifier, "creator": creator, "now": time.time()})
            connection.execute("DELETE FROM unlearnt WHERE id = ?", (identifier,))

    def leave(self, creator: str) -> None:
        """Erase all of a creator's, here and, once the store is there, what it has of theirs from before now."""
        now = time.time()
        with self._database.transaction() as connection:
            connection.execute(_ERASE_ALL, {"creator": creator, "now": now})
            connection.execute("DELETE FROM unlearnt WHERE creator = ?", (creator,))
            connection.execute("INSERT OR REPLACE INTO leaving VALUES (?, ?)", (creator, now))

    def has(self, creator: str) -> bool:
        """Whether anything here is the creator's."""
        wanted = "SELECT EXISTS (SELECT 1 FROM feedback WHERE creator = :creator) OR EXISTS (SELECT 1 FROM leaving WHERE creator = :creator)"
        with self._database.transaction() as connection:
            return bool(connection.execute(wanted, {"creator": creator}).fetchone()[0])

    def move(self, before: str, now: str) -> None:
        """Give what is a creator's in this file, requests that were kept among it, to the id that they have now."""
        with self._database.transaction() as connection:
            for table in ("kept", "feedback", "unlearnt"):
                connection.execute(f"UPDATE {table} SET creator = ? WHERE creator = ?", (now, before))  # noqa: S608
            connection.execute(
                "UPDATE feedback SET record = json_set(record, '$.creator', :now) "
                "WHERE record IS NOT NULL AND json_extract(record, '$.creator') = :before",
                {"now": now, "before": before},
            )
            connection.execute(
                "INSERT INTO leaving SELECT :now, asked FROM leaving WHERE creator = :before "
                "ON CONFLICT (creator) DO UPDATE SET asked = max(asked, excluded.asked)",
                {"now": now, "before": before},
            )
            connection.execute("DELETE FROM leaving WHERE creator = ?", (before,))
            # Of one that was erased, only what proves whose it was is known.
            erased = connection.execute(
                "SELECT id, creator FROM feedback WHERE state = ?", (OutboxState.ERASED,)
            ).fetchall()
            for identifier, owner in erased:
                if owner == owner_of(identifier, before):
                    values = (owner_of(identifier, now), identifier)
                    connection.execute("UPDATE feedback SET creator = ? WHERE id = ?", values)

    def leaving(self) -> list[tuple[str, float]]:
        """Return the creators whose feedback is still to be looked for in the store, and when they asked."""
        with self._database.transaction() as connection:
            return connection.execute("SELECT creator, asked FROM leaving ORDER BY asked").fetchall()

    def left(self, creator: str, asked: float) -> None:
        """Note that all of the creator's that the store had when they asked is now to be erased by id."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM leaving WHERE creator = ? AND asked = ?", (creator, asked))

    def waiting(self, most: int) -> list[OutboxEntry]:
        """Return what is to be done next, in order."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                "SELECT id, creator, state, record, photo FROM feedback WHERE state IN (?, ?) ORDER BY number LIMIT ?",
                (OutboxState.WAITING, OutboxState.ERASING, most),
            ).fetchall()
        return [
            OutboxEntry(identifier, creator, Feedback.model_validate_json(record), photo)
            if state == OutboxState.WAITING
            else OutboxEntry(identifier, creator, None, b"")
            for identifier, creator, state, record, photo in rows
        ]

    def done(self, one: OutboxEntry) -> None:
        """Note that it is done; a feedback whose erasure was asked for meanwhile is still to be erased."""
        values = {"id": one.id, "owner": owner_of(one.id, one.creator), "now": time.time()}
        with self._database.transaction() as connection:
            connection.execute(_ERASED if one.feedback is None else _STORED, values)

    def pending(self, creator: str, identifier: str | None = None) -> int:
        """Return how many erasures of the creator's feedback, or of one of them, are not done yet."""
        with self._database.transaction() as connection:
            if identifier is not None:
                wanted = "SELECT count(*) FROM feedback WHERE creator = ? AND state = ? AND id = ?"
                return int(connection.execute(wanted, (creator, OutboxState.ERASING, identifier)).fetchone()[0])
            wanted = "SELECT (SELECT count(*) FROM feedback WHERE creator = ? AND state = ?) + (SELECT count(*) FROM leaving WHERE creator = ?)"
            return int(connection.execute(wanted, (creator, OutboxState.ERASING, creator)).fetchone()[0])

    def depth(self) -> OutboxDepth:
        """Return how much waits."""
        wanted = "SELECT state, count(*), min(since) FROM feedback WHERE state IN (?, ?) GROUP BY state"
        with self._database.transaction() as connection:
            rows = connection.execute(wanted, (OutboxState.WAITING, OutboxState.ERASING)).fetchall()
        counts = {state: count for state, count, _ in rows}
        now = time.time()
        oldest = now - min((since for _, _, since in rows), default=now)
        return OutboxDepth(counts.get(OutboxState.WAITING, 0), counts.get(OutboxState.ERASING, 0), max(0.0, oldest))

    def expire(self) -> None:
        """Forget the ids of what has been done for long, and what was rated long ago: such requests are kept no longer."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM rated WHERE since < ?", (time.time() - _REMEMBERED,))
            connection.execute(
                "DELETE FROM feedback WHERE state IN (?, ?) AND since < ?",
                (OutboxState.STORED, OutboxState.ERASED, time.time() - _REMEMBERED),
            )


_WAITING_BYTES = "SELECT creator, sum(bytes) FROM feedback WHERE bytes > 0 GROUP BY creator"
_LOOK = "SELECT creator, submission, request, state FROM feedback WHERE id = ?"
_STORED = """
UPDATE feedback SET state = 'stored', since = :now, bytes = 0, record = NULL, photo = NULL WHERE id = :id AND state = 'waiting'
"""
_ERASED = """
UPDATE feedback SET state = 'erased', since = :now, creator = :owner, submission = '', request = NULL WHERE id = :id AND state = 'erasing'
"""
_ERASE = """
INSERT INTO feedback (id, creator, submission, state, since, bytes) VALUES (:id, :creator, '', 'erasing', :now, 0)
ON CONFLICT (id) DO UPDATE SET state = 'erasing', since = :now, bytes = 0, record = NULL, photo = NULL
WHERE state NOT IN ('erasing', 'erased')
"""
_ERASE_ALL = """
UPDATE feedback SET state = 'erasing', since = :now, bytes = 0, record = NULL, photo = NULL
WHERE creator = :creator AND state NOT IN ('erasing', 'erased')
"""


def _known(row: tuple[str, str, str | None, str] | None) -> KnownFeedback | None:
    return None if row is None else KnownFeedback(row[0], row[1], row[2], OutboxState(row[3]))
