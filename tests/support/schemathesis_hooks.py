"""Loaded by schemathesis: the photos that it sends, and two of its checks where they ask for what a description can't
say.
"""

import base64
import io

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

_PHOTOS = strategies.sampled_from([_photo(form) for form in ("JPEG", "PNG", "WEBP", "GIF")])

schemathesis.openapi.format("binary", _PHOTOS)
schemathesis.openapi.format("byte", _PHOTOS.map(lambda photo: base64.b64encode(photo).decode()))


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
        # Its coverage phase puts all fields of a form together, and overlooks `oneOf`: image and request_id exclude each
        # other.
        if problem["reason"] == "no_subject" and {"image", "request_id"} <= set(case.body):
            return
    positive_data_acceptance(context, response, case)


@schemathesis.check
def invalid_data_are_refused(
    context: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> None:
    """As `negative_data_rejection`; but in a form all is text, also what was meant to be of a wrong type."""
    if case.media_type != "multipart/form-data":
        negative_data_rejection(context, response, case)
