"""Monitor of the shared database: asks it every second, so that probes answer from memory."""

import logging
import threading
import time

from serving.settings import ServingSettings
from serving.state.database import Database, StateError
from serving.state.opening import open_database
from serving.state.tables import Section

logger = logging.getLogger(__name__)

_INTERVAL = 1.0
_SILENCE = 10.0
"""Seconds without an answer after which a check that still waits counts as failed."""


class StateMonitor:
    """Checks *database* from a thread of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="state-monitor", daemon=True)
        # It has been opened, so it was there.
        self._contact, self._answered = time.monotonic(), True

    @property
    def reachable(self) -> bool:
        """Whether the last check succeeded, and the present one does not wait for long."""
        return self._answered and self.silence < _SILENCE

    @property
    def silence(self) -> float:
        """Seconds since the database answered last."""
        return time.monotonic() - self._contact

    def start(self) -> None:
        """Start to check."""
        self._thread.start()

    def close(self) -> None:
        """Stop to check, and close the database. A check that hangs is not waited for."""
        self._stopped.set()
        self._database.close()

    def _run(self) -> None:
        while not self._stopped.wait(_INTERVAL):
            try:
                self._database.check()
            except StateError as error:
                if self._answered:
                    logger.error("%s", error)  # noqa: TRY400 - the message says it all
                self._answered = False
            else:
                if not self._answered:
                    logger.info("the database can be used again")
                self._answered, self._contact = True, time.monotonic()


def open_monitor(settings: ServingSettings) -> StateMonitor | None:
    """Return the monitor of the database that replicas share; None if they share none.

    Raises:
        StateError: the database can't be used.
    """
    return StateMonitor(open_database(settings, Section.RATES)) if settings.database_url else None
