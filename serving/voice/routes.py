"""Voice routes: a creator reads, replaces and erases their saved captions."""

from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request

from serving.creators import creator_of
from serving.http.parsing import parse_body
from serving.http.problems import ProblemError
from serving.http.requests import media_type, parse_json
from serving.http.schemas import Voice
from serving.scheduling.thread_pools import BoundedThreadPool
from serving.voice.repository import VoiceStore

_THREADS, _WAITING = 4, 64
"""Threads for work on the file of voices, and how many calls may wait for them."""

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Voice"}}},
    }
}
"""OpenAPI description of the body. FastAPI doesn't parse it, because it would do so on the event loop."""

router = APIRouter(prefix="/v1/voice", tags=["voice"])


class VoiceService:
    """Access to the voices in threads of their own, so that a disk that hangs blocks nothing else.

    Caption requests wait for at most *seconds*.
    """

    def __init__(self, store: VoiceStore, seconds: float) -> None:
        self.store = store
        self._seconds = seconds
        self.pool = BoundedThreadPool("voices", _THREADS, _WAITING)

    async def newest(self, creator: str, number: int) -> list[str]:
        """Return the creator's newest captions, for a caption request, which can't wait for long.

        Raises:
            PoolBusyError: no thread is free, or reading takes too long.
            UserError: the file can't be used.
        """
        return await self.pool.run(self.store.captions, creator, number, seconds=self._seconds)

    def close(self) -> None:
        """Accept no more calls."""
        self.pool.close()


@router.get("", summary="Get your saved captions")
async def read_voice(request: Request) -> Voice:
    """Return the saved captions that new ones imitate, the newest first."""
    voices = _voices(request)
    return Voice(captions=await voices.pool.run(voices.store.captions, creator_of(request)))


@router.put("", summary="Replace your saved captions", openapi_extra=_BODY)
async def write_voice(request: Request) -> Voice:
    """Save these captions, the most typical first, and erase those saved before. The body may have 64 KiB of JSON."""
    if media_type(request) != "application/json":
        detail = "Send the captions as application/json."
        raise ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
    voice = await parse_body(request, partial(parse_json, Voice))
    voices = _voices(request)
    await voices.pool.run(voices.store.replace, creator_of(request), voice.captions)
    return voice


@router.delete("", status_code=HTTPStatus.NO_CONTENT, summary="Erase your saved captions")
async def erase_voice(request: Request) -> None:
    """Erase all saved captions, including those that came with feedback."""
    voices = _voices(request)
    await voices.pool.run(voices.store.forget, creator_of(request))


def _voices(request: Request) -> VoiceService:
    voices: VoiceService = request.app.state.voices
    return voices
