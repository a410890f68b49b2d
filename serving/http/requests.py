"""Request parser of the caption routes: encoded photos and options, from multipart or JSON."""

import binascii
import codecs
import re
from http import HTTPStatus
from textwrap import shorten
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from python_multipart.multipart import parse_options_header

from serving.http.forms import read_form
from serving.http.json_limits import check_complexity
from serving.http.openapi import form_schema
from serving.http.parsing import parse_body
from serving.http.problems import ProblemError
from serving.http.schemas import MAX_PHOTOS, CaptionRequest, Options
from snap2caption.errors import validation_message

_Model = TypeVar("_Model", bound=BaseModel)

_FIELDS = ("image", "file")

_LISTS = frozenset({"voice", "earlier_hashtags"})
"""Options that a form sends as a repeated field; a single empty field stands for an empty list."""

_DATA_URL = re.compile(r'\s*data:(?:[^,"]++|"[^"]*+")*+,', re.IGNORECASE)
"""The start of a data: URL, whatever its parameters (``;name=``, ``;charset=``)."""

_MAX_DATA_URL_START = 1000
"""Characters that are searched for the start of a data: URL."""

_STANDARD = bytes.maketrans(b"-_", b"+/")
"""Translation from base64's URL-safe alphabet to the standard one."""

_ESCAPED = {escape: chr(int(escape[1:], 16)) for code in b"+/=-_\r\n " for escape in {f"%{code:02X}", f"%{code:02x}"}}
"""Percent-encoded base64 characters and white space, with what they stand for."""

_MAX_NAME_LENGTH = 100
"""Characters of a field name that a refusal repeats."""

BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": form_schema(
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
"""OpenAPI description of the body: FastAPI can't infer one that has two media types."""


async def read_request(request: Request) -> tuple[list[bytes], Options]:
    """Return the encoded photos of one post and the options.

    Raises:
        ProblemError: the media type is not supported, or the body or an option is invalid.
    """
    kind = media_type(request)
    if kind == "multipart/form-data":
        return await _read_form(request)
    if kind == "application/json":
        return await parse_body(request, _parse_json)
    raise ProblemError(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "Send the photo as multipart/form-data in the field image, or as application/json in base64.",
    )


def media_type(request: Request) -> str:
    """Return the media type of the body, without parameters.

    Raises:
        ProblemError: the charset is not UTF-8. Some of Python's other codecs raise unexpected errors or don't return
            text.
    """
    kind, parameters = parse_options_header(request.headers.get("content-type"))
    charset = parameters.get(b"charset", b"utf-8").decode("latin-1")
    if charset.lower() not in {"utf-8", "utf8", "us-ascii"}:
        detail = "The Content-Type names a charset other than UTF-8; send the body in UTF-8."
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
    with InvalidAsProblem():
        return form.photos, Options.model_validate(fields | lists)


def _parse_json(body: bytes) -> tuple[list[bytes], Options]:
    parsed = parse_json(CaptionRequest, body)
    # Options without the base64 text, which would otherwise stay in memory next to the decoded photos.
    options = Options.model_validate(parsed.model_dump(exclude={"image", "images"}, exclude_unset=True))
    if parsed.image is not None:
        return [decode_base64(parsed.image)], options
    return [decode_base64(photo, f"images[{index}]") for index, photo in enumerate(parsed.images)], options


def parse_json(model: type[_Model], body: bytes) -> _Model:
    """Return *body* parsed as JSON and validated as *model*.

    Raises:
        ProblemError: the body is not JSON, doesn't fit the model, or is too complex.
    """
    # Windows programs put a byte order mark before UTF-8; a parser may ignore it (RFC 8259, 8.1).
    body = body.removeprefix(codecs.BOM_UTF8)
    check_complexity(body)
    with InvalidAsProblem():
        return model.model_validate_json(body)


def decode_base64(photo: str, name: str = "image") -> bytes:
    """Return the bytes of a photo in base64 (RFC 4648) or in a data: URL (RFC 2397).

    Both base64 alphabets are accepted, with or without padding.

    Args:
        photo: the encoded photo.
        name: the field's name, for the message.

    Raises:
        ProblemError: it is not base64.
    """
    encoded = photo[start.end() :] if (start := _DATA_URL.match(photo, 0, _MAX_DATA_URL_START)) else photo
    # MIME encoders break the text into lines; URL encoders percent-encode some characters.
    for escape, character in _ESCAPED.items() if "%" in encoded else ():
        encoded = encoded.replace(escape, character)
    try:
        plain = encoded.encode("ascii").translate(_STANDARD, b"\t\n\v\f\r ").rstrip(b"=")
        return binascii.a2b_base64(plain + b"=" * (-len(plain) % 4), strict_mode=True)
    except ValueError as error:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY, "bad_base64", f"The field {name} is not base64; encode the photo's bytes."
        ) from error


class InvalidAsProblem:
    """Context manager that turns pydantic's validation errors into a problem with one sentence.

    It is a class, because mypy believes that a context manager made from a generator may swallow exceptions.
    """

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ValidationError):
            first = error.errors(include_url=False, include_input=False)[0]
            # A field name may be a single word of megabytes, which `shorten` alone would drop.
            name = ".".join(str(part)[: 2 * _MAX_NAME_LENGTH] for part in first["loc"])
            subject = shorten(name, _MAX_NAME_LENGTH, placeholder="…") or "The body"
            raise ProblemError(
                HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", f"{subject}: {validation_message(first)}."
            ) from error
