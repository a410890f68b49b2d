"""Voice sync: creators' own captions from feedback become part of their voice, with retries after a failure."""

import logging
import threading
from typing import Protocol

from serving.feedback.outbox import Outbox, OutboxState, UnsyncedCaption
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
    """Copies captions from *outbox*, where they were stored in one transaction with their feedback, to *voices*."""

    def __init__(self, outbox: Outbox, voices: VoiceWriter) -> None:
        self._outbox = outbox
        self._voices = voices
        self._lock = threading.Lock()

    def catch_up(self) -> None:
        """Add all unsynced captions to the voices. A caption that was added but not marked is replaced by itself.

        If a file fails, that is logged and retried at the next call: the feedback itself is safe on the disk, so the
        client need not send it again.
        """
        with self._lock:
            try:
                for caption in self._outbox.unsynced_captions():
                    self._sync(caption)
            except UserError as error:
                logger.warning("a caption is not in its creator's voice yet (%s); this is retried", error)

    def _sync(self, unsynced: UnsyncedCaption) -> None:
        self._voices.add(unsynced.creator, unsynced.caption, unsynced.id)
        # The feedback may have been erased in the meantime. Then the caption must not stay.
        known = self._outbox.find(unsynced.id)
        if known is not None and known.state in {OutboxState.ERASING, OutboxState.ERASED}:
            self._voices.remove(unsynced.creator, unsynced.id)
        self._outbox.mark_synced(unsynced.id)
