"""What the service wrote, with the photo, kept for a while for those who agreed to it: so that feedback need not send it again."""

import time
from collections import Counter

from pydantic import BaseModel, ConfigDict

from serving.feedback.database import Database
from snap2caption.feedback import Words
from snap2caption.post import Tone


class CachedRequest(BaseModel):
    """What was asked for and what was answered."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    variants: tuple[Words, ...]
    model_version: str
    tone: Tone | None = None
    location: str | None = None
    confidence: float | None = None


class RequestCache:
    """Requests for captions, each for *seconds*, and *most* bytes in all: of whoever has most of them, the oldest go first."""

    def __init__(self, database: Database, *, seconds: float, most: int) -> None:
        self._database = database
        self._seconds = seconds
        self._most = most

    def keep(self, request: str, creator: str, content: CachedRequest, photo: bytes) -> None:
        """Keep a request. What would displace those of creators who have less is not kept, nor what is larger than all that may be.

        Raises:
            DiskError: there is no room on the disk.
        """
        text = content.model_dump_json()
        size = len(photo) + len(text)
        if size > self._most:
            return
        now = time.time()
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM kept WHERE until <= ?", (now,))
            held = Counter(dict(connection.execute("SELECT creator, sum(bytes) FROM kept GROUP BY creator").fetchall()))
            held[creator] += size
            while held.total() > self._most:
                # Of several who have as much, whoever wants more gives way.
                most = max(held, key=lambda one: (held[one], one == creator))
                wanted = "SELECT rowid, bytes FROM kept WHERE creator = ? ORDER BY until, rowid LIMIT 1"
                oldest = connection.execute(wanted, (most,)).fetchone()
                if oldest is None:
                    return
                connection.execute("DELETE FROM kept WHERE rowid = ?", (oldest[0],))
                held[most] -= oldest[1]
            connection.execute(
                "INSERT INTO kept VALUES (?, ?, ?, ?, ?, ?)",
                (request, creator, now + self._seconds, size, text, photo),
            )

    def find(self, request: str, creator: str) -> tuple[CachedRequest, bytes] | None:
        """Return what was kept of the creator's own request, with its photo, or None."""
        wanted = "SELECT content, photo FROM kept WHERE request = ? AND creator = ? AND until > ?"
        with self._database.transaction() as connection:
            found = connection.execute(wanted, (request, creator, time.time())).fetchone()
        return None if found is None else (CachedRequest.model_validate_json(found[0]), found[1])

    def has(self, creator: str) -> bool:
        """Whether any request of the creator is kept."""
        with self._database.transaction() as connection:
            found = connection.execute("SELECT 1 FROM kept WHERE creator = ? LIMIT 1", (creator,)).fetchone()
        return found is not None

    def forget(self, creator: str) -> None:
        """Remove what was kept of the creator's requests."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM kept WHERE creator = ?", (creator,))

    def forget_request(self, creator: str, request: str) -> None:
        """Remove what was kept of one request of the creator."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM kept WHERE creator = ? AND request = ?", (creator, request))

    def expire(self) -> None:
        """Remove what has been kept for long enough."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM kept WHERE until <= ?", (time.time(),))
