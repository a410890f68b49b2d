"""Transactional outbox: feedback and erasures are on the disk before they are accepted, and reach the store later."""

import json
import time
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, Select, delete, exists, func, insert, or_, select, update

from serving.creators import ANONYMOUS
from serving.state.database import Database
from serving.state.tables import cached_requests, departures, outbox, ratings, unsynced_captions
from snap2caption.errors import UserError
from snap2caption.feedback import Feedback, owner_of

_RETENTION_SECONDS = 30 * 24 * 3600.0
"""How long the id of a finished entry is kept, to recognize a repeated submission. Later, the store recognizes it."""


_LEASE_SECONDS = 60.0
"""How long an entry is one worker's. If its machine is lost, another worker delivers the entry after that."""


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

    Replicas share the queue. *worker* is the name under which this one claims entries: the same after a restart.
    """

    def __init__(self, database: Database, *, max_bytes: int, worker: str = "") -> None:
        self._database = database
        self._max_bytes = max_bytes
        self._worker = worker

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
            **values, submission=submission, state=OutboxState.WAITING, since=time.time(), bytes=size, photo=photo
        )
        with self._database.transaction() as connection:
            if known := _find(connection, feedback.id):
                return known
            self._check_room(connection, feedback.creator, size)
            added = new.on_conflict_do_nothing(index_elements=["id"]).returning(outbox.c.number)
            if connection.execute(added).first() is None:
                # Another replica added the same feedback just now.
                return _find(connection, feedback.id)
            if words is not None and words.caption:
                caption = {"id": feedback.id, "creator": feedback.creator, "caption": words.caption}
                connection.execute(insert(unsynced_captions).values(caption))
        return None

    def _check_room(self, connection: Connection, creator: str, size: int) -> None:
        sizes = select(outbox.c.creator, func.sum(outbox.c.bytes)).where(outbox.c.bytes > 0)
        waiting = Counter({owner: int(total) for owner, total in connection.execute(sizes.group_by(outbox.c.creator))})
        needed = size if creator == ANONYMOUS else 2 * size + waiting[creator]
        if waiting.total() + needed > self._max_bytes:
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

    def unsynced_captions(self) -> list[UnsyncedCaption]:
        """Return the captions that are still to be added to their creators' voices, in order."""
        captions = unsynced_captions
        query = select(captions.c.id, captions.c.creator, captions.c.caption).join(outbox, outbox.c.id == captions.c.id)
        with self._database.single_statement() as connection:
            return [UnsyncedCaption(*row) for row in connection.execute(query.order_by(outbox.c.number))]

    def mark_synced(self, identifier: str) -> None:
        """Record that the caption of a feedback was added to its creator's voice."""
        with self._database.single_statement() as connection:
            connection.execute(delete(unsynced_captions).where(unsynced_captions.c.id == identifier))

    def find(self, identifier: str) -> KnownFeedback | None:
        """Return what is known about a feedback, or None if it was not submitted here."""
        with self._database.single_statement() as connection:
            return _find(connection, identifier)

    def erase(self, identifier: str, creator: str) -> None:
        """Drop a feedback from the outbox and queue the erasure of its copies in the store.

        The caller has checked that the feedback is the creator's.
        """
        values = {"id": identifier, "creator": creator, "submission": "", **_erasing()}
        new = self._database.insert(outbox).values(values)
        new = new.on_conflict_do_update(index_elements=["id"], set_=_erasing(), where=_present())
        with self._database.transaction() as connection:
            connection.execute(new)
            connection.execute(delete(unsynced_captions).where(unsynced_captions.c.id == identifier))

    def erase_creator(self, creator: str) -> None:
        """Drop all of a creator's feedback from the outbox, and queue the erasure of what the store has so far."""
        asked = time.time()
        departure = self._database.insert(departures).values(creator=creator, asked=asked)
        with self._database.transaction() as connection:
            connection.execute(update(outbox).where(outbox.c.creator == creator, _present()).values(_erasing()))
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

    def move(self, before: str, now: str) -> None:
        """Change a creator's id in all tables of the database, including that of kept requests.

        Args:
            before: the old id.
            now: the new id.
        """
        with self._database.transaction() as connection:
            waiting = select(outbox.c.id, outbox.c.record).where(
                outbox.c.creator == before, outbox.c.record.is_not(None)
            )
            for identifier, record in connection.execute(waiting).all():
                moved = json.dumps(json.loads(record) | {"creator": now}, ensure_ascii=False, separators=(",", ":"))
                connection.execute(update(outbox).where(outbox.c.id == identifier).values(record=moved))
            for table in (cached_requests, outbox, unsynced_captions):
                connection.execute(update(table).where(table.c.creator == before).values(creator=now))
            asked = connection.execute(select(departures.c.asked).where(departures.c.creator == before)).scalar()
            if asked is not None:
                new = self._database.insert(departures).values(creator=now, asked=asked)
                later = {"asked": new.excluded.asked}
                connection.execute(
                    new.on_conflict_do_update(
                        index_elements=["creator"], set_=later, where=departures.c.asked < new.excluded.asked
                    )
                )
                connection.execute(delete(departures).where(departures.c.creator == before))
            # An erased feedback has only the digest that proves whose it was.
            erased = select(outbox.c.id, outbox.c.creator).where(outbox.c.state == OutboxState.ERASED)
            for identifier, owner in connection.execute(erased).all():
                if owner == owner_of(identifier, before):
                    mine = {"creator": owner_of(identifier, now)}
                    connection.execute(update(outbox).where(outbox.c.id == identifier).values(mine))

    def departures(self) -> list[tuple[str, float]]:
        """Return the creators whose feedback in the store is still to be listed for erasure.

        Each comes with the time of the request, in seconds since the epoch.
        """
        query = select(departures.c.creator, departures.c.asked).order_by(departures.c.asked)
        with self._database.single_statement() as connection:
            return [(creator, asked) for creator, asked in connection.execute(query)]

    def finish_departure(self, creator: str, asked: float) -> None:
        """Remove a departure: every feedback that the store had at time *asked* now has an erasure of its own."""
        this = delete(departures).where(departures.c.creator == creator, departures.c.asked == asked)
        with self._database.single_statement() as connection:
            connection.execute(this)

    def claim(self, limit: int) -> list[OutboxEntry]:
        """Claim the next operations to do in the store, in order, at most *limit*, and return them.

        No other worker gets them until they are done, released, or a minute has passed.
        """
        now = time.time()
        due = or_(outbox.c.claimed_until.is_(None), outbox.c.claimed_until < now)
        query = select(outbox.c.number, outbox.c.id, outbox.c.creator, outbox.c.state, outbox.c.record, outbox.c.photo)
        query = query.where(_waits(), due).order_by(outbox.c.number).limit(limit).with_for_update(skip_locked=True)
        lease = {"claimed_by": self._worker, "claimed_until": now + _LEASE_SECONDS}
        with self._database.transaction() as connection:
            rows = connection.execute(query).all()
            if rows:
                numbers = [row.number for row in rows]
                connection.execute(update(outbox).where(outbox.c.number.in_(numbers)).values(lease))
        return [
            OutboxEntry(row.id, row.creator, Feedback.model_validate_json(row.record), row.photo)
            if row.state == OutboxState.WAITING
            else OutboxEntry(row.id, row.creator, None, b"")
            for row in rows
        ]

    def release(self) -> None:
        """Give back what this worker has claimed: after a failure, or because an earlier process was killed."""
        with self._database.single_statement() as connection:
            connection.execute(update(outbox).where(outbox.c.claimed_by == self._worker).values(_FREE))

    def mark_done(self, entry: OutboxEntry) -> None:
        """Record that *entry* is done. A feedback whose erasure was requested meanwhile stays queued for it."""
        done: dict[str, object] = {"since": time.time()} | _FREE
        if entry.feedback is None:
            before, owner = OutboxState.ERASING, owner_of(entry.id, entry.creator)
            done |= {"state": OutboxState.ERASED, "creator": owner, "submission": "", "request": None}
        else:
            before = OutboxState.WAITING
            done |= {"state": OutboxState.STORED, "bytes": 0, "record": None, "photo": None}
        this = update(outbox).where(outbox.c.id == entry.id)
        with self._database.transaction() as connection:
            if not connection.execute(this.where(outbox.c.state == before).values(done)).rowcount:
                connection.execute(this.where(outbox.c.claimed_by == self._worker).values(_FREE))

    def pending_erasures(self, creator: str, identifier: str | None = None) -> int:
        """Return how many erasures of the creator's feedback, or of one feedback, are not done yet."""
        mine = (outbox.c.creator == creator, outbox.c.state == OutboxState.ERASING)
        with self._database.transaction() as connection:
            if identifier is not None:
                return _count(connection, select(func.count()).where(*mine, outbox.c.id == identifier))
            leaving = select(func.count()).where(departures.c.creator == creator)
            return _count(connection, select(func.count()).where(*mine)) + _count(connection, leaving)

    def depth(self) -> OutboxDepth:
        """Return how many entries wait, for how long, and their size."""
        query = select(outbox.c.state, func.count(), func.min(outbox.c.since), func.sum(outbox.c.bytes))
        with self._database.single_statement() as connection:
            rows = connection.execute(query.where(_waits()).group_by(outbox.c.state)).all()
        counts = {state: count for state, count, _, _ in rows}
        now = time.time()
        oldest = now - min((since for _, _, since, _ in rows), default=now)
        return OutboxDepth(
            feedback=counts.get(OutboxState.WAITING, 0),
            erasures=counts.get(OutboxState.ERASING, 0),
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


_FREE: dict[str, object] = {"claimed_by": None, "claimed_until": None}


def _waits() -> ColumnElement[bool]:
    return outbox.c.state.in_((OutboxState.WAITING, OutboxState.ERASING))


def _present() -> ColumnElement[bool]:
    """Match feedback whose erasure was not requested yet."""
    return outbox.c.state.not_in((OutboxState.ERASING, OutboxState.ERASED))


def _erasing() -> dict[str, object]:
    """Return the values of a feedback from the request of its erasure on."""
    return {"state": OutboxState.ERASING, "since": time.time(), "bytes": 0, "record": None, "photo": None}


def _find(connection: Connection, identifier: str) -> KnownFeedback | None:
    query = select(outbox.c.creator, outbox.c.submission, outbox.c.request, outbox.c.state)
    row = connection.execute(query.where(outbox.c.id == identifier)).first()
    return None if row is None else KnownFeedback(row.creator, row.submission, row.request, OutboxState(row.state))


def _count(connection: Connection, query: Select[int]) -> int:
    return int(connection.execute(query).scalar_one())
