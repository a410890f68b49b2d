"""Captions as they are written, as server-sent events: ``token`` for each piece, ``answer`` with all of it, ``error`` with a problem body."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fastapi.responses import StreamingResponse
from starlette.responses import Response

from serving.engine import Piece
from serving.problems import ProblemError, broken
from serving.safety import find_unsafe
from serving.schemas import CaptionAnswer

logger = logging.getLogger(__name__)

MEDIA_TYPE = "text/event-stream"

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {"event": {"enum": ["token", "answer", "error"]}, "data": {"type": "string", "description": "JSON."}},
}
"""What OpenAPI says of an event."""

_HEADERS = {"X-Accel-Buffering": "no"}
"""Proxies such as nginx would keep the pieces back until all are there."""

_UNFINISHED = "\ufffd"
"""What stands for a character of which a token holds only some bytes."""


class Growing:
    """Turns what is written so far into what is new of it, variant by variant: the caption up to its first hashtag, while it is fit to be shown."""

    def __init__(self) -> None:
        self._sent: dict[int, str] = {}

    def take(self, piece: Piece) -> str:
        """Return what *piece* adds to the variant's earlier ones."""
        text = piece.text.rstrip(_UNFINISHED)
        caption = text.partition("#")[0].partition("＃")[0].rstrip()
        sent = self._sent.setdefault(piece.variant, "")
        # A word that only begins like a bad one is sent with what follows.
        if not caption.startswith(sent) or find_unsafe(caption):
            return ""
        self._sent[piece.variant] = caption
        return caption[len(sent) :]


async def stream(write: Callable[..., Awaitable[CaptionAnswer]], request_id: str) -> Response:
    """Return the answer to a request as a stream of events. What is refused before the first word is an ordinary refusal.

    Args:
        write: captions, and tells its argument ``listener`` how the caption grows. It is cancelled when the client leaves.
        request_id: for the log.

    Raises:
        ProblemError: the request is refused.
    """
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[Piece | None] = asyncio.Queue()

    def listen(piece: Piece) -> None:
        loop.call_soon_threadsafe(pieces.put_nowait, piece)

    writing = asyncio.ensure_future(write(listener=listen))
    writing.add_done_callback(lambda _: pieces.put_nowait(None))
    try:
        first = await pieces.get()
        if first is None:
            # Refused, or so short that there is nothing to stream.
            await writing
    except BaseException:
        writing.cancel()
        raise
    return StreamingResponse(_events(first, pieces, writing, request_id), media_type=MEDIA_TYPE, headers=_HEADERS)


async def _events(
    piece: Piece | None,
    pieces: "asyncio.Queue[Piece | None]",
    writing: "asyncio.Future[CaptionAnswer]",
    request_id: str,
) -> AsyncIterator[str]:
    growing = Growing()
    try:
        while piece is not None:
            if new := growing.take(piece):
                yield _event("token", json.dumps({"variant": piece.variant, "text": new}, ensure_ascii=False))
            piece = await pieces.get()
        yield _event("answer", (await writing).model_dump_json())
    except ProblemError as problem:
        yield _event("error", problem.body().model_dump_json())
    except Exception:
        # The status is sent already: this is the last place where the client can hear of it.
        logger.exception("request %s failed", request_id)
        yield _event("error", broken(request_id).body().model_dump_json())
    finally:
        writing.cancel()


def _event(name: str, data: str) -> str:
    return f"event: {name}\ndata: {data}\n\n"
