"""Monitor of the shared database: asks it every second, so that probes answer from memory."""

import logging
import threading
import time

from serving.settings import ServingSettings
from serving.state.database import Database, StateError
from serving.state.opening import open_database
from serving.state.tables import Section

logger = logging.getLogger(__name__)

_SECONDS = 1.0


class StateMonitor:
    """Checks *database* from a thread of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="state-monitor", daemon=True)
        self._contact = time.monotonic()
        self.reachable = True
        """Whether the last check succeeded. It has been opened, so at first it is."""

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
        while not self._stopped.wait(_SECONDS):
            try:
                self._database.check()
            except StateError as error:
                if self.reachable:
                    logger.error("%s", error)  # noqa: TRY400 - the message says it all
                self.reachable = False
            else:
                if not self.reachable:
                    logger.info("the database can be used again")
                self.reachable, self._contact = True, time.monotonic()


def open_monitor(settings: ServingSettings) -> StateMonitor | None:
    """Return the monitor of the database that replicas share; None if they share none.

    Raises:
        StateError: the database can't be used.
    """
    return StateMonitor(open_database(settings, Section.RATES)) if settings.database_url else None
