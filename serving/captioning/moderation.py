"""Moderation of photos before captioning (optional), by a function or a service that the operator names."""

import importlib
import io
from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx

from snap2caption.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

_TIMEOUT_SECONDS = 5.0

Moderator = Callable[["Image"], str | None]
"""Returns a short reason if a photo must not be captioned, otherwise None. It must be thread-safe."""


class ModerationUnavailableError(Exception):
    """The moderator failed, so it is unknown whether the photo is allowed."""


def load_moderator(name: str) -> Moderator | None:
    """Return the moderator called *name*: ``package.module:function`` or a service's URL; None for an empty name.

    A service gets the photo by POST, as JPEG without metadata. It must answer with status 200 and JSON:
    ``{"allowed": bool, "reason": "…"}``.

    Raises:
        UserError: the function can't be imported.
    """
    if not name:
        return None
    if name.startswith(("http://", "https://")):
        return _service(name)
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"SNAP2CAPTION_SERVING_MODERATION names {name!r}, which can't be loaded ({error}); "
            "give package.module:function or a URL."
        ) from error
    moderator: Moderator = found
    return moderator


def _service(url: str) -> Moderator:
    def check(photo: "Image") -> str | None:
        stream = io.BytesIO()
        photo.save(stream, "JPEG", quality=90)
        try:
            response = httpx.post(
                url, content=stream.getvalue(), headers={"Content-Type": "image/jpeg"}, timeout=_TIMEOUT_SECONDS
            ).raise_for_status()
            verdict = response.json()
            return None if verdict["allowed"] else str(verdict.get("reason", "not allowed"))
        except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModerationUnavailableError(str(error)) from error

    return check
