"""Voice store: saved captions of each creator that new ones imitate."""

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, delete, func, select, update

from serving.state.database import Database
from serving.state.tables import captions
from serving.state.values import without_nul

MAX_CAPTIONS = 50
"""Saved captions per creator; beyond that, the oldest are deleted."""

_NEXT = 1e-6
"""Seconds between captions that are saved at once: they have an order."""


class VoiceStore:
    """The saved captions in *database*, by the creator ids of `serving.middleware.authentication`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, creator: str, caption: str, identifier: str | None = None) -> None:
        """Save a caption that the creator wrote or accepted.

        Args:
            creator: the creator's id.
            caption: the caption's prose, without hashtags.
            identifier: id of the feedback that it came with. An earlier caption of the same feedback is replaced.
        """
        with self._writing(creator) as connection:
            self._insert(connection, creator, identifier or uuid.uuid4().hex, caption)

    def replace(self, creator: str, new: Sequence[str]) -> None:
        """Replace all of the creator's saved captions by *new*, the newest first."""
        with self._writing(creator) as connection:
            connection.execute(delete(captions).where(captions.c.creator == creator))
            for caption in reversed(new):
                self._insert(connection, creator, uuid.uuid4().hex, caption)
        self._database.scrub()

    def captions(self, creator: str, number: int = MAX_CAPTIONS) -> list[str]:
        """Return the creator's saved captions, the newest first, at most *number*."""
        query = select(captions.c.caption).where(captions.c.creator == creator)
        with self._database.single_statement() as connection:
            return list(connection.execute(query.order_by(captions.c.added.desc()).limit(number)).scalars())

    def remove(self, creator: str, identifier: str) -> None:
        """Erase the caption that came with a feedback, if there is one."""
        with self._writing(creator) as connection:
            connection.execute(delete(captions).where(captions.c.creator == creator, captions.c.id == identifier))
        self._database.scrub()

    def forget(self, creator: str) -> None:
        """Erase all saved captions of the creator."""
        with self._writing(creator) as connection:
            connection.execute(delete(captions).where(captions.c.creator == creator))
        self._database.scrub()

    def move(self, before: str, now: str) -> None:
        """Move a creator's captions from the id *before* to the id *now*."""
        with self._database.transaction() as connection:
            moved = select(captions.c.id).where(captions.c.creator == before)
            connection.execute(delete(captions).where(captions.c.creator == now, captions.c.id.in_(moved)))
            connection.execute(update(captions).where(captions.c.creator == before).values(creator=now))
            self._delete_oldest(connection, now)
        self._database.scrub()

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    @contextmanager
    def _writing(self, creator: str) -> Iterator[Connection]:
        """Begin a transaction that no other one changes the creator's captions beside."""
        with self._database.transaction() as connection:
            self._database.take_turns(connection, f"voice {creator}")
            yield connection

    def _insert(self, connection: Connection, creator: str, identifier: str, caption: str) -> None:
        # Later than the creator's other captions, even if another replica's clock is ahead.
        newest = connection.execute(select(func.max(captions.c.added)).where(captions.c.creator == creator)).scalar()
        caption = without_nul(caption)
        added = max(time.time(), (newest or 0.0) + _NEXT)
        statement = self._database.insert(captions).values(creator=creator, id=identifier, caption=caption, added=added)
        new = {"caption": statement.excluded.caption, "added": statement.excluded.added}
        connection.execute(statement.on_conflict_do_update(index_elements=["creator", "id"], set_=new))
        self._delete_oldest(connection, creator)

    def _delete_oldest(self, connection: Connection, creator: str) -> None:
        mine = select(captions.c.id).where(captions.c.creator == creator)
        newest = mine.order_by(captions.c.added.desc(), captions.c.id).limit(MAX_CAPTIONS)
        connection.execute(delete(captions).where(captions.c.creator == creator, captions.c.id.not_in(newest)))
