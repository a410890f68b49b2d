"""Which hashtag table is used: follows the dataset versions, so that new hashtags are known without a new model."""

import logging
import threading
import time

from serving.models.manager import EngineContact, ServedModel
from serving.observability.metrics import DATASETS_CONTACT
from snap2caption.datasets.manifest import NAME
from snap2caption.errors import UserError
from snap2caption.hashtags.table import HashtagTable
from snap2caption.names import is_file_name
from snap2caption.store import open_store

logger = logging.getLogger(__name__)

_CLOSE_SECONDS = 5.0


class HashtagTables:
    """The table of the newest dataset version under *datasets_uri*. A thread of its own looks for it every *poll_seconds*."""

    def __init__(self, datasets_uri: str, *, poll_seconds: float) -> None:
        self._datasets_uri = datasets_uri
        self._poll_seconds = poll_seconds
        self._version: str | None = None
        self._table: HashtagTable | None = None
        self._contact: EngineContact | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="hashtags", daemon=True)

    def start(self) -> None:
        """Begin to follow the dataset versions."""
        self._thread.start()

    def close(self) -> None:
        """Stop following. A table that is just being read is not waited for."""
        self._stop.set()
        self._thread.join(_CLOSE_SECONDS)

    def current(self, served: ServedModel) -> HashtagTable:
        """Return the newest table or, before one was found, that of the dataset that the model in service learned from."""
        return self._table or served.hashtags

    @property
    def version(self) -> str | None:
        """The dataset version whose table is in use; None before one was found."""
        return self._version

    @property
    def contact(self) -> EngineContact | None:
        """Whether the newest table could be had when it was last looked for, and when it last could; None before the first look."""
        return self._contact

    def refresh(self) -> None:
        """Take the newest version's table, if it is another than the one in use. The old one is used until then.

        Raises:
            UserError: the store is away, or the table is damaged; the old one stays in use.
        """
        before = self._contact
        # Until it is there, it could not be had.
        self._contact = EngineContact(reachable=False, at=before.at if before else None)
        version = self._newest()
        if version is not None and version != self._version:
            # One assignment: a request sees the old table or the new one.
            self._table = HashtagTable.read(f"{self._datasets_uri.rstrip('/')}/{version}")
            self._version = version
            logger.info("%d hashtags of dataset version %s are in use", len(self._table), version)
        self._contact = EngineContact(reachable=True, at=time.monotonic())
        DATASETS_CONTACT.set_to_current_time()

    def _newest(self) -> str | None:
        # A version's manifest goes last: its time is the version's.
        versions = [
            (found.modified, version)
            for found in open_store(self._datasets_uri).list()
            for version, _, name in [found.key.partition("/")]
            if name == NAME and is_file_name(version)
        ]
        return max(versions)[1] if versions else None

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                self.refresh()
            except UserError as error:
                logger.warning("%s", error)
            except Exception:
                # Whatever it was, following goes on, as for the models.
                logger.exception("the dataset versions could not be looked at")
            self._stop.wait(self._poll_seconds)
