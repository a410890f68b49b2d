"""Request cache: captions with their photos, kept with the creator's consent so that feedback can refer to them."""

import time
from collections import Counter

from pydantic import BaseModel, ConfigDict

from serving.feedback.database import Database
from snap2caption.feedback import Words
from snap2caption.post import Tone


class CachedRequest(BaseModel):
    """The relevant options and the answer of a caption request."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    variants: tuple[Words, ...]
    model_version: str
    tone: Tone | None = None
    location: str | None = None
    confidence: float | None = None


class RequestCache:
    """Cache of caption requests.

    Args:
        database: where the requests are kept.
        seconds: how long each request is kept.
        max_bytes: size of the cache. Beyond that, the oldest requests of the creator who uses most are dropped first.
    """

    def __init__(self, database: Database, *, seconds: float, max_bytes: int) -> None:
        self._database = database
        self._seconds = seconds
        self._max_bytes = max_bytes

    def keep(self, request: str, creator: str, content: CachedRequest, photo: bytes) -> None:
        """Keep a request, unless it is larger than the cache or would displace requests of creators who use less.

        Raises:
            DiskError: the disk is full or fails.
        """
        text = content.model_dump_json()
        size = len(photo) + len(text)
        if size > self._max_bytes:
            return
        now = time.time()
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM kept WHERE until <= ?", (now,))
            held = Counter(dict(connection.execute("SELECT creator, sum(bytes) FROM kept GROUP BY creator").fetchall()))
            held[creator] += size
            while held.total() > self._max_bytes:
                # If several creators use equally much, the one who adds a request gives way.
                largest = max(held, key=lambda other: (held[other], other == creator))
                query = "SELECT rowid, bytes FROM kept WHERE creator = ? ORDER BY until, rowid LIMIT 1"
                oldest = connection.execute(query, (largest,)).fetchone()
                if oldest is None:
                    return
                connection.execute("DELETE FROM kept WHERE rowid = ?", (oldest[0],))
                held[largest] -= oldest[1]
            connection.execute(
                "INSERT INTO kept VALUES (?, ?, ?, ?, ?, ?)",
                (request, creator, now + self._seconds, size, text, photo),
            )

    def find(self, request: str, creator: str) -> tuple[CachedRequest, bytes] | None:
        """Return the creator's own request with its photo (JPEG), or None if it is not kept."""
        query = "SELECT content, photo FROM kept WHERE request = ? AND creator = ? AND until > ?"
        with self._database.transaction() as connection:
            found = connection.execute(query, (request, creator, time.time())).fetchone()
        return None if found is None else (CachedRequest.model_validate_json(found[0]), found[1])

    def has(self, creator: str) -> bool:
        """Return whether any request of the creator is kept."""
        with self._database.transaction() as connection:
            found = connection.execute("SELECT 1 FROM kept WHERE creator = ? LIMIT 1", (creator,)).fetchone()
        return found is not None

    def forget(self, creator: str) -> None:
        """Delete all kept requests of the creator."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM kept WHERE creator = ?", (creator,))

    def forget_request(self, creator: str, request: str) -> None:
        """Delete one kept request of the creator."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM kept WHERE creator = ? AND request = ?", (creator, request))

    def expire(self) -> None:
        """Delete the requests whose time is over."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM kept WHERE until <= ?", (time.time(),))
