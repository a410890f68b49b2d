"""The routes by which a creator sees, sets and erases her voice."""

from http import HTTPStatus

from fastapi import APIRouter, Request

from serving.creators import creator_of
from serving.schemas import Voice
from serving.voice import VoiceStore

router = APIRouter(prefix="/v1/voice", tags=["voice"])


@router.get("", summary="The captions that yours are written like")
def read_voice(request: Request) -> Voice:
    """Return the saved captions, the newest first."""
    return Voice(captions=_voices(request).captions(creator_of(request)))


@router.put("", summary="Say what your captions are to be like")
def write_voice(voice: Voice, request: Request) -> Voice:
    """Keep these captions, the most telling first, in place of all that were saved before."""
    _voices(request).replace(creator_of(request), voice.captions)
    return voice


@router.delete("", status_code=HTTPStatus.NO_CONTENT, summary="Forget your voice")
def erase_voice(request: Request) -> None:
    """Erase all saved captions, those that came with feedback among them."""
    _voices(request).forget(creator_of(request))


def _voices(request: Request) -> VoiceStore:
    voices: VoiceStore = request.app.state.voices
    return voices
