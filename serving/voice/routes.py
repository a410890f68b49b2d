"""The routes by which a creator sees, sets and erases their voice."""

from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request

from serving.creators import creator_of
from serving.http.parsing import parsed
from serving.http.problems import ProblemError
from serving.http.requests import media_type, parse_json
from serving.http.schemas import Voice
from serving.scheduling.thread_pools import BoundedThreadPool
from serving.voice.repository import VoiceStore

_THREADS, _WAITING = 4, 64
"""For what is done in the file of voices, and how much of it may wait."""

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Voice"}}},
    }
}
"""What OpenAPI says about the body, which FastAPI would parse on the event loop."""

router = APIRouter(prefix="/v1/voice", tags=["voice"])


class VoiceService:
    """The voices, read and written in threads of their own: a disk that hangs holds up nothing else. A caption waits for *seconds*."""

    def __init__(self, store: VoiceStore, seconds: float) -> None:
        self.store = store
        self._seconds = seconds
        self.pool = BoundedThreadPool("voices", _THREADS, _WAITING)

    async def newest(self, creator: str, number: int) -> list[str]:
        """Return the creator's newest captions, for a caption that would rather be in no voice than wait for long.

        Raises:
            PoolBusyError: it would take too long.
            UserError: the file can't be used.
        """
        return await self.pool.run(self.store.captions, creator, number, seconds=self._seconds)

    def close(self) -> None:
        """Take nothing more."""
        self.pool.close()


@router.get("", summary="The captions that yours are written like")
async def read_voice(request: Request) -> Voice:
    """Return the saved captions, the newest first."""
    voices = _voices(request)
    return Voice(captions=await voices.pool.run(voices.store.captions, creator_of(request)))


@router.put("", summary="Say what your captions are to be like", openapi_extra=_BODY)
async def write_voice(request: Request) -> Voice:
    """Keep these captions, the most telling first, in place of all that were saved before. 64 KiB of JSON at most."""
    if media_type(request) != "application/json":
        detail = "Send the captions as application/json."
        raise ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
    voice = await parsed(request, partial(parse_json, Voice))
    voices = _voices(request)
    await voices.pool.run(voices.store.replace, creator_of(request), voice.captions)
    return voice


@router.delete("", status_code=HTTPStatus.NO_CONTENT, summary="Forget your voice")
async def erase_voice(request: Request) -> None:
    """Erase all saved captions, those that came with feedback among them."""
    voices = _voices(request)
    await voices.pool.run(voices.store.forget, creator_of(request))


def _voices(request: Request) -> VoiceService:
    voices: VoiceService = request.app.state.voices
    return voices
