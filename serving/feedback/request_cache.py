"""Request cache: captions with their photos, kept with the creator's consent so that feedback can refer to them."""

import time
from collections import Counter

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection, Select, delete, func, insert, select

from serving.state.database import Database
from serving.state.tables import cached_requests as requests
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
            StateError: the disk is full, or the database fails.
        """
        text = content.model_dump_json()
        size = len(photo) + len(text)
        if size > self._max_bytes:
            return
        now = time.time()
        with self._database.transaction() as connection:
            _delete(connection, select(requests.c.request).where(requests.c.until <= now))
            sizes = select(requests.c.creator, func.sum(requests.c.bytes)).group_by(requests.c.creator)
            held = Counter({owner: int(total) for owner, total in connection.execute(sizes)})
            held[creator] += size
            while held.total() > self._max_bytes:
                # If several creators use equally much, the one who adds a request gives way.
                largest = max(held, key=lambda other: (held[other], other == creator))
                by_age = select(requests.c.request, requests.c.bytes).order_by(requests.c.until, requests.c.request)
                oldest = connection.execute(by_age.where(requests.c.creator == largest).limit(1)).first()
                if oldest is None:
                    return
                connection.execute(delete(requests).where(requests.c.request == oldest.request))
                held[largest] -= oldest.bytes
            values = {"request": request, "creator": creator, "until": now + self._seconds, "bytes": size}
            connection.execute(insert(requests).values(**values, content=text, photo=photo))

    def find(self, request: str, creator: str) -> tuple[CachedRequest, bytes] | None:
        """Return the creator's own request with its photo (JPEG), or None if it is not kept."""
        query = select(requests.c.content, requests.c.photo).where(
            requests.c.request == request, requests.c.creator == creator, requests.c.until > time.time()
        )
        with self._database.single_statement() as connection:
            found = connection.execute(query).first()
        return None if found is None else (CachedRequest.model_validate_json(found.content), found.photo)

    def has(self, creator: str) -> bool:
        """Return whether any request of the creator is kept."""
        query = select(requests.c.request).where(requests.c.creator == creator).limit(1)
        with self._database.single_statement() as connection:
            return connection.execute(query).first() is not None

    def forget(self, creator: str) -> None:
        """Delete all kept requests of the creator."""
        with self._database.single_statement() as connection:
            connection.execute(delete(requests).where(requests.c.creator == creator))

    def forget_request(self, creator: str, request: str) -> None:
        """Delete one kept request of the creator."""
        with self._database.single_statement() as connection:
            connection.execute(delete(requests).where(requests.c.creator == creator, requests.c.request == request))

    def expire(self) -> None:
        """Delete the requests whose time is over."""
        with self._database.transaction() as connection:
            _delete(connection, select(requests.c.request).where(requests.c.until <= time.time()))


def _delete(connection: Connection, which: Select[tuple[str]]) -> None:
    """Delete the requests that *which* selects, but for those that a replica deletes at the same time."""
    found = connection.execute(which.with_for_update(skip_locked=True)).scalars().all()
    if found:
        connection.execute(delete(requests).where(requests.c.request.in_(found)))
