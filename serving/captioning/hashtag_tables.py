"""Hashtag tables: follow the newest dataset version, so that new hashtags need no new model."""

import logging
import threading
import time
from datetime import datetime

from serving.models.manager import DependencyContact
from serving.models.served_model import ServedModel
from serving.observability.metrics import DATASET_PUBLISHED, DATASETS_CONTACT
from snap2caption.datasets.manifest import NAME
from snap2caption.errors import UserError
from snap2caption.hashtags.table import HashtagTable
from snap2caption.names import is_file_name
from snap2caption.store import open_store

logger = logging.getLogger(__name__)

_CLOSE_SECONDS = 5.0


class HashtagTables:
    """The table of the newest dataset version under *datasets_uri*. A background thread polls every *poll_seconds*."""

    def __init__(self, datasets_uri: str, *, poll_seconds: float) -> None:
        self._datasets_uri = datasets_uri
        self._poll_seconds = poll_seconds
        self._version: str | None = None
        self._table: HashtagTable | None = None
        self._contact: DependencyContact | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="hashtags", daemon=True)

    def start(self) -> None:
        """Start polling."""
        self._thread.start()

    def close(self) -> None:
        """Stop polling, without waiting for a table that is being read."""
        self._stop.set()
        self._thread.join(_CLOSE_SECONDS)

    def current(self, served: ServedModel) -> HashtagTable:
        """Return the newest table or, before one was found, the table of the served model's training dataset."""
        return self._table or served.hashtags

    @property
    def version(self) -> str | None:
        """The dataset version of the table in use; None before one was found."""
        return self._version

    @property
    def contact(self) -> DependencyContact | None:
        """The last contact with the dataset store, including reading the table; None before the first poll."""
        return self._contact

    def refresh(self) -> None:
        """Read the newest version's table, if it is not in use yet.

        Raises:
            UserError: the store is unavailable, or the table is damaged. The old table stays in use.
        """
        before = self._contact
        # The store counts as unreachable until the table was read.
        self._contact = DependencyContact(reachable=False, at=before.at if before else None)
        newest = self._newest()
        if newest is not None and newest[1] != self._version:
            published, version = newest
            # One assignment: a request sees the old table or the new one.
            self._table = HashtagTable.read(f"{self._datasets_uri.rstrip('/')}/{version}")
            self._version = version
            DATASET_PUBLISHED.set(published.timestamp())
            logger.info("%d hashtags of dataset version %s are in use", len(self._table), version)
        self._contact = DependencyContact(reachable=True, at=time.monotonic())
        DATASETS_CONTACT.set_to_current_time()

    def _newest(self) -> tuple[datetime, str] | None:
        # The manifest is written last, so its time is the version's time.
        versions = [
            (found.modified, version)
            for found in open_store(self._datasets_uri).list()
            for version, _, name in [found.key.partition("/")]
            if name == NAME and is_file_name(version)
        ]
        return max(versions, default=None)

    def _poll(self) -> None:
        while not self._stop.is_set():
            try:
                self.refresh()
            except UserError as error:
                logger.warning("%s", error)
            except Exception:
                # Keep polling after any error, as the model manager does.
                logger.exception("the dataset versions can't be listed; trying again at the next poll")
            self._stop.wait(self._poll_seconds)
