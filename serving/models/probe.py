"""Smoke test of a loaded model: it must caption a test picture before it goes into service."""

from PIL import Image, ImageDraw

from serving.engines.base import Engine, GenerationRequest, generate
from snap2caption.errors import UserError
from snap2caption.post import Request, parse
from snap2caption.runtime.openmp import with_own_team
from snap2caption.vlm import Decoding

_TOKENS = 48
"""The most tokens of the test caption."""


class BrokenModelError(UserError):
    """The model can't be loaded, or it generates no caption."""


def probed(engine: Engine) -> Engine:
    """Return *engine* if it captions a test picture; otherwise close it.

    Raises:
        BrokenModelError: it generates no caption.
    """
    try:
        with_own_team(lambda: probe(engine))
    except BaseException:
        engine.close()
        raise
    return engine


def probe(engine: Engine) -> None:
    """Check that *engine* captions a test picture.

    Raises:
        BrokenModelError: it generates no caption.
    """
    picture = Image.new("RGB", (300, 300), "skyblue")
    ImageDraw.Draw(picture).rectangle((0, 200, 300, 300), fill="seagreen")
    results = generate(engine, [GenerationRequest(picture, Request(), (Decoding(_TOKENS * engine.token_factor),))])
    if not parse(results[0].texts[0]).caption:
        raise BrokenModelError("it generated no caption for a test picture")
