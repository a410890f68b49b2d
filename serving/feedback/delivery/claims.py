"""Claims: which entries of the outbox this worker delivers, so that of several replicas one at a time has an entry."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Table, bindparam, delete, func, or_, select, update

from serving.feedback.outbox import OutboxState, lock_rows, queue_erasures
from serving.feedback.store.erasure import ErasureRequest
from serving.state.database import Database
from serving.state.tables import departures, outbox, outbox_photos
from snap2caption.feedback import owner_of

_LEASE_SECONDS = 60.0
"""How long an entry is one worker's. If its machine is lost, another worker delivers the entry after that."""

_FREE: dict[str, object] = {"claimed_by": None, "claimed_until": None}


@dataclass(frozen=True, slots=True)
class ClaimedFeedback:
    """A feedback to put into the store."""

    id: str
    record: str
    """The feedback as JSON. A newer version of the service may have written it."""
    photo: bytes


@dataclass(frozen=True, slots=True)
class ClaimedDeparture:
    """A creator whose feedback in the store is to be listed for erasure."""

    creator: str
    asked: float
    """When the erasure was requested, in seconds since the epoch."""


class Claims:
    """Claims of a worker on entries of the outbox in *database*.

    What is claimed is no other worker's until it is done, released, or a minute has passed. *worker* is the name of
    this one: the same after a restart.

    Claims and deliveries may be repeated. So they don't wait for the disk, unlike what makes or ends an erasure.
    """

    def __init__(self, database: Database, worker: str) -> None:
        self._database = database
        self._worker = worker

    def feedback(self, limit: int, without: Collection[str] = ()) -> list[ClaimedFeedback]:
        """Claim the feedback that has waited longest, at most *limit*, and none whose id is in *without*."""
        photo = func.coalesce(outbox_photos.c.photo, outbox.c.photo).label("photo")
        query = select(outbox.c.number, outbox.c.id, outbox.c.record, photo)
        query = query.outerjoin(outbox_photos, outbox_photos.c.number == outbox.c.number)
        query = query.where(outbox.c.state == OutboxState.WAITING, _due(outbox))
        if without:
            query = query.where(outbox.c.id.not_in(without))
        query = query.order_by(outbox.c.number).limit(limit).with_for_update(skip_locked=True, of=outbox)
        with self._database.repeatable() as connection:
            rows = connection.execute(query).all()
            if rows:
                mine = outbox.c.number.in_([row.number for row in rows])
                connection.execute(update(outbox).where(mine).values(self._lease()))
        return [ClaimedFeedback(row.id, row.record, row.photo) for row in rows]

    def erasures(self, limit: int, without: Collection[str] = ()) -> list[ErasureRequest]:
        """Claim erasures, at most *limit*, and none whose id is in *without*.

        Creators take turns, so that one who has a lot erased does not hold up another.
        """
        waiting = [outbox.c.state == OutboxState.ERASING, _due(outbox)]
        if without:
            waiting.append(outbox.c.id.not_in(without))
        turn = func.row_number().over(partition_by=outbox.c.creator, order_by=outbox.c.number).label("turn")
        ranked = select(outbox.c.number, turn).where(*waiting).subquery()
        chosen = select(ranked.c.number).order_by(ranked.c.turn, ranked.c.number).limit(limit)
        query = select(outbox.c.number, outbox.c.id, outbox.c.creator, outbox.c.since)
        # Another replica may have claimed a row since the query began: the conditions are checked again.
        query = query.where(outbox.c.number.in_(chosen), *waiting).order_by(outbox.c.number)
        with self._database.repeatable() as connection:
            rows = connection.execute(query.with_for_update(skip_locked=True)).all()
            if rows:
                mine = outbox.c.number.in_([row.number for row in rows])
                connection.execute(update(outbox).where(mine).values(self._lease()))
        return [ErasureRequest(row.id, row.creator, row.since) for row in rows]

    def departure(self) -> ClaimedDeparture | None:
        """Claim the departure that was requested first; None if there is none to do."""
        query = select(departures.c.creator, departures.c.asked).where(_due(departures))
        query = query.order_by(departures.c.asked).limit(1).with_for_update(skip_locked=True)
        with self._database.transaction() as connection:
            row = connection.execute(query).first()
            if row is None:
                return None
            this = departures.c.creator == row.creator
            connection.execute(update(departures).where(this).values(self._lease()))
        return ClaimedDeparture(row.creator, row.asked)

    def mark_stored(self, identifiers: Sequence[str]) -> None:
        """Record that feedback is in the store. If its erasure was requested meanwhile, that is queued from now on."""
        done = {"state": OutboxState.STORED, "since": time.time(), "bytes": 0, "record": None, "photo": None} | _FREE
        these = outbox.c.id.in_(identifiers)
        with self._database.repeatable() as connection:
            lock_rows(connection, these)
            connection.execute(update(outbox).where(these, outbox.c.state == OutboxState.WAITING).values(done))
            connection.execute(update(outbox).where(these, outbox.c.claimed_by == self._worker).values(_FREE))

    def mark_erased(self, erasures: Sequence[ErasureRequest]) -> None:
        """Record that feedback is erased. What remains of it proves to its creator that it was theirs."""
        done = {"state": OutboxState.ERASED, "since": time.time(), "submission": "", "request": None} | _FREE
        this = (outbox.c.id == bindparam("this"), outbox.c.state == OutboxState.ERASING)
        statement = update(outbox).where(*this).values(done | {"creator": bindparam("owner")})
        owners = [{"this": one.id, "owner": owner_of(one.id, one.creator)} for one in erasures]
        with self._database.transaction() as connection:
            lock_rows(connection, outbox.c.id.in_([one.id for one in erasures]))
            connection.execute(statement, owners)

    def expand(self, departure: ClaimedDeparture, identifiers: Sequence[str]) -> None:
        """Queue the erasure of some feedback that a departed creator has in the store, and keep the departure."""
        with self._database.transaction() as connection:
            queue_erasures(self._database, connection, departure.creator, identifiers, departure.asked)
            this = (departures.c.creator == departure.creator, departures.c.claimed_by == self._worker)
            connection.execute(update(departures).where(*this).values(self._lease()))

    def finish(self, departure: ClaimedDeparture) -> None:
        """Remove a departure: all feedback that the store had when it was requested has an erasure of its own now.

        If it was requested again meanwhile, it is to be done again.
        """
        this = departures.c.creator == departure.creator
        with self._database.transaction() as connection:
            connection.execute(delete(departures).where(this, departures.c.asked == departure.asked))
            connection.execute(update(departures).where(this, departures.c.claimed_by == self._worker).values(_FREE))

    def release(self, identifiers: Collection[str]) -> None:
        """Give entries back that were not done, so that another worker gets them."""
        these = (outbox.c.id.in_(identifiers), outbox.c.claimed_by == self._worker)
        with self._database.repeatable() as connection:
            lock_rows(connection, *these)
            connection.execute(update(outbox).where(*these).values(_FREE))

    def release_departure(self, departure: ClaimedDeparture) -> None:
        """Give a departure back that was not done."""
        this = (departures.c.creator == departure.creator, departures.c.claimed_by == self._worker)
        with self._database.single_statement() as connection:
            connection.execute(update(departures).where(*this).values(_FREE))

    def release_all(self) -> None:
        """Give everything back that is claimed in this worker's name: what had it before was killed."""
        with self._database.transaction() as connection:
            lock_rows(connection, outbox.c.claimed_by == self._worker)
            for table in (outbox, departures):
                connection.execute(update(table).where(table.c.claimed_by == self._worker).values(_FREE))

    def _lease(self) -> dict[str, object]:
        return {"claimed_by": self._worker, "claimed_until": time.time() + _LEASE_SECONDS}


def _due(table: Table) -> ColumnElement[bool]:
    """Match rows that no worker has."""
    return or_(table.c.claimed_until.is_(None), table.c.claimed_until < time.time())
