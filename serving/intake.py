"""Reading a request: the photo's bytes and the options, from multipart or JSON."""

import asyncio
import base64
import binascii
import re
from http import HTTPStatus
from textwrap import shorten
from typing import Any
from urllib.parse import unquote

from fastapi import Request
from pydantic import ValidationError
from python_multipart.multipart import parse_options_header

from serving.forms import read_form
from serving.openapi import form
from serving.problems import ProblemError
from serving.schemas import MAX_PHOTOS, CaptionRequest, Options

_FIELDS = ("image", "file")

_LISTS = frozenset({"voice", "earlier_hashtags"})
"""Options that a form gives by sending a field several times; once and empty is an empty list."""

_DATA_URL = re.compile(r'\s*data:(?:[^,"]++|"[^"]*+")*+,', re.IGNORECASE)
"""The start of a data: URL, whatever its parameters (``;name=``, ``;charset=``)."""

_STANDARD = str.maketrans("-_", "+/")
"""From base64's alphabet for URLs to the standard one."""

_LONGEST_NAME = 100
"""Of a field, as a refusal repeats it."""

BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": form(
                    Options,
                    {
                        "type": "array",
                        "items": {"type": "string", "format": "binary"},
                        "minItems": 1,
                        "maxItems": MAX_PHOTOS,
                        "description": "The photo (JPEG, PNG, WebP, GIF, HEIC or AVIF), or several photos of one post.",
                    },
                    {"required": ["image"], "dependentRequired": {"regenerate": ["earlier_caption"]}},
                )
            },
            "application/json": {"schema": {"$ref": "#/components/schemas/CaptionRequest"}},
        },
    }
}
"""What OpenAPI says about the body: FastAPI can't tell, as it may come in two forms."""


async def read_request(request: Request) -> tuple[list[bytes], Options]:
    """Return the encoded photos of one post and the options.

    Raises:
        ProblemError: the body is in no form that we take, or an option is wrong.
    """
    kind = media_type(request)
    if kind == "multipart/form-data":
        return await _read_form(request)
    if kind == "application/json":
        return await _read_json(request)
    raise ProblemError(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "Send the photo as multipart/form-data, in the field image, or as application/json, in base64.",
    )


def media_type(request: Request) -> str:
    """Return in what form the body comes.

    Raises:
        ProblemError: it is not in UTF-8. Python has codecs whose errors nobody expects, and some that make of bytes what is no text.
    """
    kind, parameters = parse_options_header(request.headers.get("content-type"))
    charset = parameters.get(b"charset", b"utf-8").decode("latin-1")
    if charset.lower() not in {"utf-8", "utf8", "us-ascii"}:
        detail = "The body says that it is not in UTF-8; send it in UTF-8."
        raise ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
    return kind.decode("latin-1")


async def _read_form(request: Request) -> tuple[list[bytes], Options]:
    form = await read_form(request, _FIELDS, MAX_PHOTOS)
    if not form.photos:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY, "no_image", "There is no photo; send it in the field image."
        )
    fields = {name: values[-1] for name, values in form.fields.items() if values[-1] != ""}
    lists = {name: [value for value in form.fields[name] if value != ""] for name in _LISTS & form.fields.keys()}
    with explained():
        return form.photos, Options.model_validate(fields | lists)


async def _read_json(request: Request) -> tuple[list[bytes], Options]:
    # Megabytes of JSON and base64 would hold up everybody else on the event loop.
    return await asyncio.to_thread(_parse_json, await request.body())


def _parse_json(body: bytes) -> tuple[list[bytes], Options]:
    with explained():
        asked = CaptionRequest.model_validate_json(body)
    if asked.image is not None:
        return [decode_base64(asked.image)], asked
    return [decode_base64(photo, f"images[{place}]") for place, photo in enumerate(asked.images)], asked


def decode_base64(photo: str, name: str = "image") -> bytes:
    """Return the bytes of a photo in base64, in either alphabet (RFC 4648) and padded or not, or in a data: URL (RFC 2397).

    Raises:
        ProblemError: it is neither; the field is called *name*.
    """
    encoded = photo[start.end() :] if (start := _DATA_URL.match(photo)) else photo
    # Encoders that follow MIME break the text into lines; those that make URLs escape some characters of it.
    encoded = re.sub(r"\s+", "", unquote(encoded) if "%" in encoded else encoded).rstrip("=")
    try:
        return base64.b64decode(encoded.translate(_STANDARD) + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY, "bad_base64", f"The field {name} is not base64; encode the photo's bytes."
        ) from error


class explained:  # noqa: N801 - reads like the function that it stands for
    """Turns pydantic's errors into one sentence."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ValidationError):
            first = error.errors(include_url=False, include_input=False)[0]
            where = shorten(".".join(map(str, first["loc"])), _LONGEST_NAME, placeholder="…") or "The body"
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", f"{where}: {first['msg']}.") from error
