"""Server-sent events: captions are streamed while they are generated.

The events are ``token`` for more text, ``replace`` for a new text of a variant, ``answer`` with the complete answer,
and ``error`` with a problem body.
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
from serving.http.problems import ProblemError, internal_error
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
"""The OpenAPI schema of an event."""

_HEADERS = {"X-Accel-Buffering": "no"}
"""Without this header, proxies such as nginx buffer the events until the response is complete."""


async def stream(write: Callable[..., Awaitable[CaptionAnswer]], options: Options, request_id: str) -> Response:
    """Return a streaming response. An error before the first text is raised, so that it gets its HTTP status.

    Args:
        write: generates the answer, and calls its argument ``listener`` with each chunk. It is canceled when the
            client disconnects.
        options: the creator's options.
        request_id: the id of the request, for the log.

    Raises:
        ProblemError: the request is rejected.
    """
    loop = asyncio.get_running_loop()
    chunks: asyncio.Queue[GenerationChunk | None] = asyncio.Queue()

    def listen(chunk: GenerationChunk) -> None:
        loop.call_soon_threadsafe(chunks.put_nowait, chunk)

    writing = asyncio.ensure_future(write(listener=listen))
    writing.add_done_callback(lambda _: chunks.put_nowait(None))
    try:
        first = await chunks.get()
        if first is None:
            # The request failed, or the caption was too short to stream.
            await writing
    except BaseException:
        writing.cancel()
        raise
    return StreamingResponse(
        _events(first, chunks, writing, options, request_id), media_type=MEDIA_TYPE, headers=_HEADERS
    )


async def _events(
    chunk: GenerationChunk | None,
    chunks: "asyncio.Queue[GenerationChunk | None]",
    writing: "asyncio.Future[CaptionAnswer]",
    options: Options,
    request_id: str,
) -> AsyncIterator[str]:
    captions = IncrementalCaptions(options)
    try:
        while chunk is not None:
            if new := captions.add(chunk):
                yield _text_event("token", chunk.variant, new)
            chunk = await chunks.get()
        answer = await writing
        for name, variant, text in captions.finalize(answer.variants):
            yield _text_event(name, variant, text)
        yield _event("answer", answer.model_dump_json())
    except ProblemError as problem:
        yield _event("error", problem.body().model_dump_json())
    except Exception:
        # The status line was sent already, so an event is the only way to report the error to the client.
        logger.exception("request %s failed", request_id)
        yield _event("error", internal_error(request_id).body().model_dump_json())
    finally:
        writing.cancel()


def _text_event(name: str, variant: int, text: str) -> str:
    return _event(name, json.dumps({"variant": variant, "text": text}, ensure_ascii=False))


def _event(name: str, data: str) -> str:
    return f"event: {name}\ndata: {data}\n\n"
