"""Loaded by schemathesis: the photos that it sends, and two of its checks where they ask for what a description can't
say.
"""

import base64
import io
from typing import Any

import schemathesis
from hypothesis import strategies
from PIL import Image
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance


def _photo(form: str) -> bytes:
    stream = io.BytesIO()
    Image.linear_gradient("L").resize((48, 32)).convert("RGB").save(stream, form)
    return stream.getvalue()


_BEYOND_A_SCHEMA = {"bad_base64", "image_unreadable", "key_reused", "erased"}
_NO_LANGUAGE = "is not a language"

_SAYING = {"rating", "reason", "edited_caption", "edited_hashtags"}

_PHOTOS = strategies.sampled_from([_photo(form) for form in ("JPEG", "PNG", "WEBP", "GIF")])

schemathesis.openapi.format("binary", _PHOTOS)
schemathesis.openapi.format("byte", _PHOTOS.map(lambda photo: base64.b64encode(photo).decode()))


def _overlooked(problem: dict[str, str], form: dict[str, Any]) -> bool:
    """Whether feedback was refused for what the description forbids with `oneOf` or `anyOf`.

    Schemathesis' coverage phase overlooks these in forms: it sends all fields together, or one alone.
    """
    if problem["reason"] == "no_subject":
        return ("image" in form) == ("request_id" in form)
    # An empty list is no field of a form.
    says_nothing = all(form.get(name) in (None, "", []) for name in _SAYING)
    return "the feedback is empty" in problem["detail"] and says_nothing


@schemathesis.check
def valid_data_are_accepted(
    context: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> None:
    """As `positive_data_acceptance`; but no schema tells bytes that are a photo from others, nor a new idempotency
    key from a used one,
    nor a language's name from another word.
    """
    if response.status_code in {410, 422}:
        problem = response.json()
        if problem["reason"] in _BEYOND_A_SCHEMA or _NO_LANGUAGE in problem["detail"]:
            return
        if case.media_type == "multipart/form-data" and _overlooked(problem, case.body):
            return
    positive_data_acceptance(context, response, case)


@schemathesis.check
def invalid_data_are_refused(
    context: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> None:
    """As `negative_data_rejection`; but in a form all is text, also what was meant to be of a wrong type."""
    if case.media_type != "multipart/form-data":
        negative_data_rejection(context, response, case)
