"""Transactional outbox: feedback and erasures are on the disk before they are accepted, and reach the store later."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, delete, exists, func, insert, or_, select, update

from serving.creators import ANONYMOUS
from serving.state.database import Database
from serving.state.tables import departures, outbox, outbox_photos, ratings, unsynced_captions, waiting_bytes
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
class OutboxDepth:
    """Number of waiting entries, how many seconds the oldest has waited, and how many bytes they take."""

    feedback: int
    erasures: int
    """Creators who left count as one each until their feedback in the store is listed."""
    oldest: float
    size: int


class Outbox:
    """Feedback and erasures that wait for the store, with at most *max_bytes*. `serving.feedback.delivery.claims` hands them out.

    A creator may use as much as they leave free: half of the outbox if they are alone, a third next to one equally
    large other. Without API keys there are no creators to separate, and all of it may be used.

    Of replicas that share the database, each may add one feedback per thread more than that: they check for room before
    they add, and may do so at the same moment.
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
            StateError: the disk is full, or the database fails.
        """
        record, words = feedback.model_dump_json(), feedback.own_words
        size = len(record) + len(photo)
        values = {"id": feedback.id, "creator": feedback.creator, "request": feedback.request_id, "record": record}
        new = self._database.insert(outbox).values(
            **values, submission=submission, state=OutboxState.WAITING, since=time.time(), bytes=size
        )
        with self._database.transaction() as connection:
            if known := _find(connection, feedback.id):
                return known
            self._check_room(connection, feedback.creator, size)
            added = new.on_conflict_do_nothing(index_elements=["id"]).returning(outbox.c.number)
            number = connection.execute(added).scalar()
            if number is None:
                # Another replica added the same feedback just now.
                return _find(connection, feedback.id)
            connection.execute(insert(outbox_photos).values(number=number, photo=photo))
            if words is not None and words.caption:
                caption = {"id": feedback.id, "creator": feedback.creator, "caption": words.caption}
                connection.execute(insert(unsynced_captions).values(caption))
        return None

    def _check_room(self, connection: Connection, creator: str, size: int) -> None:
        mine = select(waiting_bytes.c.creator, waiting_bytes.c.bytes).where(waiting_bytes.c.creator.in_(("", creator)))
        waiting = {row.creator: row.bytes for row in connection.execute(mine)}
        needed = size if creator == ANONYMOUS else 2 * size + waiting.get(creator, 0)
        if waiting.get("", 0) + needed > self._max_bytes:
            raise OutboxFullError("Too much feedback is waiting for the store; send it again later.")

    def is_first_rating(self, creator: str, request: str, variant: int) -> bool:
        """Record that a creator rated a caption of a request, and return whether it is their first rating of it.

        The record is a digest, which identifies nobody.
        """
        mark = owner_of(f"{request} {variant}", creator)
        new = self._database.insert(ratings).values(mark=mark, since=time.time())
        new = new.on_conflict_do_nothing(index_elements=["mark"])
        with self._database.single_statement() as connection:
            return connection.execute(new.returning(ratings.c.mark)).first() is not None

    def find(self, identifier: str) -> KnownFeedback | None:
        """Return what is known about a feedback, or None if it was not submitted here."""
        with self._database.single_statement() as connection:
            return _find(connection, identifier)

    def erase(self, identifier: str, creator: str) -> None:
        """Drop a feedback from the outbox and queue the erasure of its copies in the store.

        The caller has checked that the feedback is the creator's.
        """
        with self._database.transaction() as connection:
            queue_erasures(self._database, connection, creator, [identifier], time.time())
            connection.execute(delete(unsynced_captions).where(unsynced_captions.c.id == identifier))

    def erase_creator(self, creator: str) -> None:
        """Drop all of a creator's feedback from the outbox, and queue the erasure of what the store has so far."""
        asked = time.time()
        departure = self._database.insert(departures).values(creator=creator, asked=asked)
        theirs = (outbox.c.creator == creator, _present())
        with self._database.transaction() as connection:
            lock_rows(connection, *theirs)
            connection.execute(update(outbox).where(*theirs).values(_erasing(asked)))
            connection.execute(delete(unsynced_captions).where(unsynced_captions.c.creator == creator))
            connection.execute(departure.on_conflict_do_update(index_elements=["creator"], set_={"asked": asked}))

    def has(self, creator: str) -> bool:
        """Return whether the outbox has any entry of the creator."""
        query = select(
            or_(
                exists().where(outbox.c.creator == creator),
                exists().where(departures.c.creator == creator),
            )
        )
        with self._database.single_statement() as connection:
            return bool(connection.execute(query).scalar())

    def is_erasing(self, creator: str, identifier: str | None = None) -> bool:
        """Return whether an erasure of the creator's feedback, or of one feedback, is not done yet."""
        mine = exists().where(outbox.c.creator == creator, outbox.c.state == OutboxState.ERASING)
        if identifier is not None:
            query = select(mine.where(outbox.c.id == identifier))
        else:
            query = select(or_(mine, exists().where(departures.c.creator == creator)))
        with self._database.single_statement() as connection:
            return bool(connection.execute(query).scalar())

    def depth(self) -> OutboxDepth:
        """Return how many entries wait, for how long, and their size."""
        waiting = outbox.c.state.in_((OutboxState.WAITING, OutboxState.ERASING))
        entries = select(outbox.c.state, func.count(), func.min(outbox.c.since), func.sum(outbox.c.bytes))
        leaving = select(func.count(), func.min(departures.c.asked))
        with self._database.transaction() as connection:
            rows = connection.execute(entries.where(waiting).group_by(outbox.c.state)).all()
            creators, first = connection.execute(leaving).one()
        counts = {state: count for state, count, _, _ in rows}
        now = time.time()
        oldest = now - min([since for _, _, since, _ in rows] + ([first] if creators else []), default=now)
        return OutboxDepth(
            feedback=counts.get(OutboxState.WAITING, 0),
            erasures=counts.get(OutboxState.ERASING, 0) + creators,
            oldest=max(0.0, oldest),
            size=sum(int(size) for *_, size in rows),
        )

    def expire(self) -> None:
        """Delete the ids of entries that were done, and marks of ratings that were given, more than 30 days ago."""
        before = time.time() - _RETENTION_SECONDS
        done = outbox.c.state.in_((OutboxState.STORED, OutboxState.ERASED))
        with self._database.transaction() as connection:
            connection.execute(delete(ratings).where(ratings.c.since < before))
            connection.execute(delete(outbox).where(done, outbox.c.since < before))


def queue_erasures(
    database: Database, connection: Connection, creator: str, identifiers: Sequence[str], asked: float
) -> None:
    """Queue the erasure of a creator's feedback in the store, in the transaction of *connection*.

    Feedback that is being erased already is left as it is.

    Args:
        database: what *connection* is to.
        connection: the caller's transaction.
        creator: whose feedback it is.
        identifiers: its ids.
        asked: when the erasure was requested, in seconds since the epoch.
    """
    lock_rows(connection, outbox.c.id.in_(identifiers))
    queued = {"creator": creator, "submission": "", **_erasing(asked)}
    new = database.insert(outbox).values([{"id": identifier, **queued} for identifier in identifiers])
    connection.execute(new.on_conflict_do_update(index_elements=["id"], set_=_erasing(asked), where=_present()))


def lock_rows(connection: Connection, *which: ColumnElement[bool]) -> None:
    """Lock the outbox's rows that match *which*, in one order for all: transactions must not wait for each other."""
    connection.execute(select(outbox.c.number).where(*which).order_by(outbox.c.number).with_for_update())


def _present() -> ColumnElement[bool]:
    """Match feedback whose erasure was not requested yet."""
    return outbox.c.state.not_in((OutboxState.ERASING, OutboxState.ERASED))


def _erasing(asked: float) -> dict[str, object]:
    """Return the values of a feedback from the request of its erasure on."""
    return {"state": OutboxState.ERASING, "since": asked, "bytes": 0, "record": None, "photo": None}


def _find(connection: Connection, identifier: str) -> KnownFeedback | None:
    query = select(outbox.c.creator, outbox.c.submission, outbox.c.request, outbox.c.state)
    row = connection.execute(query.where(outbox.c.id == identifier)).first()
    return None if row is None else KnownFeedback(row.creator, row.submission, row.request, OutboxState(row.state))
