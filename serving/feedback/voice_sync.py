"""Having creators' own words be their voice: before they are answered or, where that was cut off, as soon as somebody looks again."""

import logging
import threading
from typing import Protocol

from serving.feedback.outbox import Outbox, OutboxState, UnsyncedCaption
from snap2caption.errors import UserError

logger = logging.getLogger(__name__)


class VoiceWriter(Protocol):
    """Captions that each creator's later ones are written like."""

    def add(self, creator: str, caption: str, identifier: str | None = None) -> None:
        """Keep a caption that came with a feedback, in place of one that came with it before."""
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
    """Brings captions from *outbox*, where they are written down together with their feedback, to *voices*."""

    def __init__(self, outbox: Outbox, voices: VoiceWriter) -> None:
        self._outbox = outbox
        self._voices = voices
        self._turn = threading.Lock()

    def catch_up(self) -> None:
        """Add what is not known to be in the voices; one that was added, but not noted, is replaced by itself.

        If a file fails it is logged, and tried again at the next call: the feedback itself is safe, and no reason to send it again.
        """
        with self._turn:
            try:
                for one in self._outbox.unlearned():
                    self._learn(one)
            except UserError as error:
                logger.warning("a caption did not become its creator's voice yet (%s)", error)

    def _learn(self, one: UnsyncedCaption) -> None:
        self._voices.add(one.creator, one.caption, one.id)
        # An erasure that came between must not be outlived.
        known = self._outbox.look(one.id)
        if known is not None and known.state in {OutboxState.ERASING, OutboxState.ERASED}:
            self._voices.remove(one.creator, one.id)
        self._outbox.learned(one.id)
