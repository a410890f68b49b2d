"""Captions as they are written, as server-sent events.

``token`` for each piece, ``replace`` where a caption took another's place, ``answer`` with all of it, ``error`` with a problem body.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fastapi.responses import StreamingResponse
from starlette.responses import Response

from serving.captioning.incremental import IncrementalCaptions
from serving.engines.base import GenerationChunk
from serving.http.problems import ProblemError, broken
from serving.http.schemas import CaptionAnswer, Options

logger = logging.getLogger(__name__)

MEDIA_TYPE = "text/event-stream"

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {
        "event": {"enum": ["token", "replace", "answer", "error"]},
        "data": {"type": "string", "description": "JSON."},
    },
}
"""What OpenAPI says of an event."""

_HEADERS = {"X-Accel-Buffering": "no"}
"""Proxies such as nginx would keep the pieces back until all are there."""


async def stream(write: Callable[..., Awaitable[CaptionAnswer]], options: Options, request_id: str) -> Response:
    """Return the answer to a request as a stream of events. What is refused before the first word is an ordinary refusal.

    Args:
        write: captions, and tells its argument ``listener`` how the caption grows. It is canceled when the client leaves.
        options: what the creator asked for.
        request_id: for the log.

    Raises:
        ProblemError: the request is refused.
    """
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[GenerationChunk | None] = asyncio.Queue()

    def listen(piece: GenerationChunk) -> None:
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
    return StreamingResponse(
        _events(first, pieces, writing, options, request_id), media_type=MEDIA_TYPE, headers=_HEADERS
    )


async def _events(
    piece: GenerationChunk | None,
    pieces: "asyncio.Queue[GenerationChunk | None]",
    writing: "asyncio.Future[CaptionAnswer]",
    options: Options,
    request_id: str,
) -> AsyncIterator[str]:
    growing = IncrementalCaptions(options)
    try:
        while piece is not None:
            if new := growing.take(piece):
                yield _text("token", piece.variant, new)
            piece = await pieces.get()
        answer = await writing
        for name, variant, text in growing.rest(answer.variants):
            yield _text(name, variant, text)
        yield _event("answer", answer.model_dump_json())
    except ProblemError as problem:
        yield _event("error", problem.body().model_dump_json())
    except Exception:
        # The status is sent already: this is the last place where the client can hear of it.
        logger.exception("request %s failed", request_id)
        yield _event("error", broken(request_id).body().model_dump_json())
    finally:
        writing.cancel()


def _text(name: str, variant: int, text: str) -> str:
    return _event(name, json.dumps({"variant": variant, "text": text}, ensure_ascii=False))


def _event(name: str, data: str) -> str:
    return f"event: {name}\ndata: {data}\n\n"
