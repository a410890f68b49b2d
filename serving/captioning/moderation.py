"""An optional check of photos before they are captioned, by a function or a service that the operator names."""

import importlib
import io
from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx

from snap2caption.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

_SECONDS = 5.0

Moderator = Callable[["Image"], str | None]
"""Returns why a photo must not be captioned, in a few words, or None if it may. It is called from several threads."""


class ModerationUnavailableError(Exception):
    """The photo could not be checked."""


def load_moderator(name: str) -> Moderator | None:
    """Return the check that *name* names: ``package.module:function``, the URL of a service, or nothing for none.

    A service is sent the photo as JPEG, without metadata, by POST, and answers 200 with JSON ``{"allowed": bool, "reason": "…"}``.

    Raises:
        UserError: there is no such function.
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
            f"SNAP2CAPTION_SERVING_MODERATION names {name!r}, which can't be loaded ({error}); give package.module:function or a URL."
        ) from error
    checked: Moderator = found
    return checked


def _service(url: str) -> Moderator:
    def check(photo: "Image") -> str | None:
        stream = io.BytesIO()
        photo.save(stream, "JPEG", quality=90)
        try:
            answer = httpx.post(
                url, content=stream.getvalue(), headers={"Content-Type": "image/jpeg"}, timeout=_SECONDS
            ).raise_for_status()
            verdict = answer.json()
            return None if verdict["allowed"] else str(verdict.get("reason", "not allowed"))
        except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModerationUnavailableError(str(error)) from error

    return check
