"""Voice sync: creators' own captions from feedback become part of their voice, with retries after a failure."""

import logging
import threading
from typing import Protocol

from sqlalchemy import delete, select

from serving.feedback.outbox import OutboxState
from serving.state.database import Database
from serving.state.tables import outbox, unsynced_captions
from snap2caption.errors import UserError

logger = logging.getLogger(__name__)


class VoiceWriter(Protocol):
    """Store of the captions that each creator's new ones imitate."""

    def add(self, creator: str, caption: str, identifier: str | None = None) -> None:
        """Add a caption that came with a feedback, replacing an earlier one of the same feedback."""
        ...

    def remove(self, creator: str, identifier: str) -> None:
        """Erase the caption that came with a feedback."""
        ...

    def captions(self, creator: str, number: int) -> list[str]:
        """Return the creator's newest captions."""
        ...

    def forget(self, creator: str) -> None:
        """Erase all captions of the creator."""
        ...


class VoiceSync:
    """Copies captions from *database*, where they were stored in one transaction with their feedback, to *voices*."""

    def __init__(self, database: Database, voices: VoiceWriter) -> None:
        self._database = database
        self._voices = voices
        self._lock = threading.Lock()

    def catch_up(self) -> None:
        """Add all unsynced captions to the voices, in order. One that was added but not marked is replaced by itself.

        If a file fails, that is logged and retried at the next call: the feedback itself is safe on the disk, so the
        client need not send it again.
        """
        captions = unsynced_captions.c
        query = select(captions.id, captions.creator, captions.caption).join(outbox, outbox.c.id == captions.id)
        with self._lock:
            try:
                with self._database.single_statement() as connection:
                    unsynced = connection.execute(query.order_by(outbox.c.number)).all()
                for identifier, creator, caption in unsynced:
                    self._sync(identifier, creator, caption)
            except UserError as error:
                logger.warning("a caption is not in its creator's voice yet (%s); this is retried", error)

    def _sync(self, identifier: str, creator: str, caption: str) -> None:
        self._voices.add(creator, caption, identifier)
        # The feedback may have been erased in the meantime. Then the caption must not stay.
        state = select(outbox.c.state).where(outbox.c.id == identifier)
        with self._database.single_statement() as connection:
            found = connection.execute(state).scalar()
        if found in {OutboxState.ERASING, OutboxState.ERASED}:
            self._voices.remove(creator, identifier)
        with self._database.single_statement() as connection:
            connection.execute(delete(unsynced_captions).where(unsynced_captions.c.id == identifier))
