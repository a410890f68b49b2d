"""Parsing of request bodies off the event loop."""

from collections.abc import Callable
from typing import TypeVar

from fastapi import Request

from serving.scheduling.thread_pools import BoundedThreadPool

_Parsed = TypeVar("_Parsed")

_PARSERS = BoundedThreadPool("parsing", threads=2, waiting=10_000)
"""Parsing megabytes of JSON, base64 or forms on the event loop would block all other requests. Only two threads,
because each body takes several times its size while it is parsed."""


async def parse_body(request: Request, parse: Callable[[bytes], _Parsed]) -> _Parsed:
    """Read the body of *request* and return the result of *parse*, which runs in a thread. The body is not kept.

    Raises:
        ProblemError: *parse* refuses the body.
    """
    chunks = [chunk async for chunk in request.stream()]
    body = b"".join(chunks)
    chunks.clear()
    return await _PARSERS.run(parse, body)
