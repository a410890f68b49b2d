"""Parsing of request bodies off the event loop."""

from collections.abc import Callable
from typing import TypeVar

from fastapi import Request

from serving.scheduling.thread_pools import BoundedThreadPool

_Found = TypeVar("_Found")

_PARSERS = BoundedThreadPool("parsing", threads=2, waiting=10_000)
"""Megabytes of JSON, base64 or forms would hold up everybody on the event loop; and each takes several times its size while it is parsed."""


async def parsed(request: Request, parse: Callable[[bytes], _Found]) -> _Found:
    """Return what *parse* makes of the body, in a thread. The body is kept no longer.

    Raises:
        ProblemError: it can't be read.
    """
    pieces = [piece async for piece in request.stream()]
    body = b"".join(pieces)
    pieces.clear()
    return await _PARSERS.run(parse, body)
