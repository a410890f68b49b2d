"""Transactional outbox: feedback and erasures are on the disk before they are accepted, and reach the store later."""

import time
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from serving.creators import ANONYMOUS
from serving.feedback.database import Database
from snap2caption.errors import UserError
from snap2caption.feedback import Feedback, owner_of

_RETENTION_SECONDS = 30 * 24 * 3600.0
"""How long the id of a finished entry is kept, to recognize a repeated submission. Later, the store recognizes it."""


class OutboxState(StrEnum):
    """Processing state of a feedback."""

    WAITING = "waiting"
    STORED = "stored"
    ERASING = "erasing"
    ERASED = "erased"


class OutboxFullError(UserError):
    """The outbox has no room for a feedback."""


@dataclass(frozen=True, slots=True)
class KnownFeedback:
    """What the outbox knows about a feedback that was submitted on this machine."""

    creator: str
    """The creator's id. After an erasure, only the digest that `owner_of` returns."""
    submission: str
    """Digest of the submission."""
    request: str | None
    """Id of the caption request, if the feedback refers to one."""
    state: OutboxState


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """One operation to do in the store: put a feedback with its photo, or erase one."""

    id: str
    creator: str
    feedback: Feedback | None
    """The feedback to put; None: erase the feedback with this id."""
    photo: bytes


@dataclass(frozen=True, slots=True)
class UnsyncedCaption:
    """A creator's own caption that may not be in their voice yet, and the id of the feedback that it came with."""

    id: str
    creator: str
    caption: str


@dataclass(frozen=True, slots=True)
class OutboxDepth:
    """Number of waiting entries, how many seconds the oldest has waited, and how many bytes they take."""

    feedback: int
    erasures: int
    oldest: float
    size: int


class Outbox:
    """Queue of feedback and erasures that wait for the store, in order of arrival, with at most *max_bytes*.

    A creator may use as much as they leave free: half of the outbox if they are alone, a third next to one equally
    large other. Without API keys there are no creators to separate, and all of it may be used.
    """

    def __init__(self, database: Database, *, max_bytes: int) -> None:
        self._database = database
        self._max_bytes = max_bytes

    def add(self, feedback: Feedback, photo: bytes, submission: str) -> KnownFeedback | None:
        """Queue a feedback for the store.

        Returns:
            None, or if a feedback with this id was added before, what is known about that one. Nothing is changed then.

        Raises:
            OutboxFullError: too many bytes are waiting.
            DiskError: the disk is full or fails.
        """
        record, words = feedback.model_dump_json(), feedback.own_words
        size = len(record) + len(photo)
        with self._database.transaction() as connection:
            if known := _known(connection.execute(_FIND, (feedback.id,)).fetchone()):
                return known
            waiting = Counter(dict(connection.execute(_WAITING_BYTES).fetchall()))
            needed = size if feedback.creator == ANONYMOUS else 2 * size + waiting[feedback.creator]
            if waiting.total() + needed > self._max_bytes:
                raise OutboxFullError("Too much feedback is waiting for the store; send it again later.")
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
        """Record that a creator rated a caption of a request, and return whether it is their first rating of it.

        The record is a digest, which identifies nobody.
        """
        mark = owner_of(f"{request} {variant}", creator)
        with self._database.transaction() as connection:
            return connection.execute("INSERT OR IGNORE INTO rated VALUES (?, ?)", (mark, time.time())).rowcount == 1

    def unsynced_captions(self) -> list[UnsyncedCaption]:
        """Return the captions that are still to be added to their creators' voices, in order."""
        with self._database.transaction() as connection:
            rows = connection.execute("SELECT id, creator, caption FROM unlearnt ORDER BY rowid").fetchall()
        return [UnsyncedCaption(*row) for row in rows]

    def mark_synced(self, identifier: str) -> None:
        """Record that the caption of a feedback was added to its creator's voice."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM unlearnt WHERE id = ?", (identifier,))

    def find(self, identifier: str) -> KnownFeedback | None:
        """Return what is known about a feedback, or None if it was not submitted here."""
        with self._database.transaction() as connection:
            return _known(connection.execute(_FIND, (identifier,)).fetchone())

    def erase(self, identifier: str, creator: str) -> None:
        """Drop a feedback from the outbox and queue the erasure of its copies in the store.

        The caller has checked that the feedback is the creator's.
        """
        with self._database.transaction() as connection:
            connection.execute(_ERASE, {"id": identifier, "creator": creator, "now": time.time()})
            connection.execute("DELETE FROM unlearnt WHERE id = ?", (identifier,))

    def erase_creator(self, creator: str) -> None:
        """Drop all of a creator's feedback from the outbox, and queue the erasure of what the store has so far."""
        now = time.time()
        with self._database.transaction() as connection:
            connection.execute(_ERASE_ALL, {"creator": creator, "now": now})
            connection.execute("DELETE FROM unlearnt WHERE creator = ?", (creator,))
            connection.execute("INSERT OR REPLACE INTO leaving VALUES (?, ?)", (creator, now))

    def has(self, creator: str) -> bool:
        """Return whether the outbox has any entry of the creator."""
        query = (
            "SELECT EXISTS (SELECT 1 FROM feedback WHERE creator = :creator) "
            "OR EXISTS (SELECT 1 FROM leaving WHERE creator = :creator)"
        )
        with self._database.transaction() as connection:
            return bool(connection.execute(query, {"creator": creator}).fetchone()[0])

    def move(self, before: str, now: str) -> None:
        """Change a creator's id in all tables of the database, including that of kept requests.

        Args:
            before: the old id.
            now: the new id.
        """
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
            # An erased feedback has only the digest that proves whose it was.
            erased = connection.execute(
                "SELECT id, creator FROM feedback WHERE state = ?", (OutboxState.ERASED,)
            ).fetchall()
            for identifier, owner in erased:
                if owner == owner_of(identifier, before):
                    values = (owner_of(identifier, now), identifier)
                    connection.execute("UPDATE feedback SET creator = ? WHERE id = ?", values)

    def departures(self) -> list[tuple[str, float]]:
        """Return the creators whose feedback in the store is still to be listed for erasure.

        Each comes with the time of the request, in seconds since the epoch.
        """
        with self._database.transaction() as connection:
            return connection.execute("SELECT creator, asked FROM leaving ORDER BY asked").fetchall()

    def finish_departure(self, creator: str, asked: float) -> None:
        """Remove a departure: every feedback that the store had at time *asked* now has an erasure of its own."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM leaving WHERE creator = ? AND asked = ?", (creator, asked))

    def next_entries(self, limit: int) -> list[OutboxEntry]:
        """Return the next operations to do in the store, in order, at most *limit*."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                "SELECT id, creator, state, record, photo FROM feedback WHERE state IN (?, ?) ORDER BY number LIMIT ?",
                (OutboxState.WAITING, OutboxState.ERASING, limit),
            ).fetchall()
        return [
            OutboxEntry(identifier, creator, Feedback.model_validate_json(record), photo)
            if state == OutboxState.WAITING
            else OutboxEntry(identifier, creator, None, b"")
            for identifier, creator, state, record, photo in rows
        ]

    def mark_done(self, entry: OutboxEntry) -> None:
        """Record that *entry* is done. A feedback whose erasure was requested meanwhile stays queued for it."""
        values = {"id": entry.id, "owner": owner_of(entry.id, entry.creator), "now": time.time()}
        with self._database.transaction() as connection:
            connection.execute(_ERASED if entry.feedback is None else _STORED, values)

    def pending_erasures(self, creator: str, identifier: str | None = None) -> int:
        """Return how many erasures of the creator's feedback, or of one feedback, are not done yet."""
        with self._database.transaction() as connection:
            if identifier is not None:
                query = "SELECT count(*) FROM feedback WHERE creator = ? AND state = ? AND id = ?"
                return int(connection.execute(query, (creator, OutboxState.ERASING, identifier)).fetchone()[0])
            query = (
                "SELECT (SELECT count(*) FROM feedback WHERE creator = ? AND state = ?) "
                "+ (SELECT count(*) FROM leaving WHERE creator = ?)"
            )
            return int(connection.execute(query, (creator, OutboxState.ERASING, creator)).fetchone()[0])

    def depth(self) -> OutboxDepth:
        """Return how many entries wait, for how long, and their size."""
        query = "SELECT state, count(*), min(since), sum(bytes) FROM feedback WHERE state IN (?, ?) GROUP BY state"
        with self._database.transaction() as connection:
            rows = connection.execute(query, (OutboxState.WAITING, OutboxState.ERASING)).fetchall()
        counts = {state: count for state, count, _, _ in rows}
        now = time.time()
        oldest = now - min((since for _, _, since, _ in rows), default=now)
        return OutboxDepth(
            feedback=counts.get(OutboxState.WAITING, 0),
            erasures=counts.get(OutboxState.ERASING, 0),
            oldest=max(0.0, oldest),
            size=sum(size for *_, size in rows),
        )

    def expire(self) -> None:
        """Delete the ids of entries that were done, and marks of ratings that were given, more than 30 days ago."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM rated WHERE since < ?", (time.time() - _RETENTION_SECONDS,))
            connection.execute(
                "DELETE FROM feedback WHERE state IN (?, ?) AND since < ?",
                (OutboxState.STORED, OutboxState.ERASED, time.time() - _RETENTION_SECONDS),
            )


_WAITING_BYTES = "SELECT creator, sum(bytes) FROM feedback WHERE bytes > 0 GROUP BY creator"
_FIND = "SELECT creator, submission, request, state FROM feedback WHERE id = ?"
_STORED = """
UPDATE feedback SET state = 'stored', since = :now, bytes = 0, record = NULL, photo = NULL
WHERE id = :id AND state = 'waiting'
"""
_ERASED = """
UPDATE feedback SET state = 'erased', since = :now, creator = :owner, submission = '', request = NULL
WHERE id = :id AND state = 'erasing'
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
