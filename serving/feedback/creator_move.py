"""Creator move: changes a creator's id in the tables of feedback."""

import json

from sqlalchemy import delete, select, update

from serving.feedback.outbox import OutboxState
from serving.state.database import Database
from serving.state.tables import cached_requests, departures, outbox, unsynced_captions
from snap2caption.feedback import owner_of


def move_creator(database: Database, before: str, now: str) -> None:
    """Change a creator's id in all tables of feedback, including that of kept requests. No service may run.

    Args:
        database: the database of feedback.
        before: the old id.
        now: the new id.

    Raises:
        StateError: the database fails; nothing was changed.
    """
    with database.transaction() as connection:
        waiting = select(outbox.c.id, outbox.c.record).where(outbox.c.creator == before, outbox.c.record.is_not(None))
        for identifier, record in connection.execute(waiting).all():
            moved = json.dumps(json.loads(record) | {"creator": now}, ensure_ascii=False, separators=(",", ":"))
            connection.execute(update(outbox).where(outbox.c.id == identifier).values(record=moved))
        for table in (cached_requests, outbox, unsynced_captions):
            connection.execute(update(table).where(table.c.creator == before).values(creator=now))
        asked = connection.execute(select(departures.c.asked).where(departures.c.creator == before)).scalar()
        if asked is not None:
            new = database.insert(departures).values(creator=now, asked=asked)
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
