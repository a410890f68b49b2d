"""Reading a request: the photo's bytes and the options, from multipart or JSON."""

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
from serving.http.json_limits import check_shape
from serving.http.openapi import form
from serving.http.parsing import parsed
from serving.http.problems import ProblemError
from serving.http.schemas import MAX_PHOTOS, CaptionRequest, Options

_Model = TypeVar("_Model", bound=BaseModel)

_FIELDS = ("image", "file")

_LISTS = frozenset({"voice", "earlier_hashtags"})
"""Options that a form gives by sending a field several times; once and empty is an empty list."""

_DATA_URL = re.compile(r'\s*data:(?:[^,"]++|"[^"]*+")*+,', re.IGNORECASE)
"""The start of a data: URL, whatever its parameters (``;name=``, ``;charset=``)."""

_LONGEST_START = 1000
"""Of a data: URL."""

_STANDARD = bytes.maketrans(b"-_", b"+/")
"""From base64's alphabet for URLs to the standard one."""

_ESCAPED = {escape: chr(int(escape[1:], 16)) for code in b"+/=-_\r\n " for escape in {f"%{code:02X}", f"%{code:02x}"}}
"""Characters of base64, and white space, as URLs escape them."""

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
        return await parsed(request, _parse_json)
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


def _parse_json(body: bytes) -> tuple[list[bytes], Options]:
    asked = parse_json(CaptionRequest, body)
    # Without the photos, which would be kept beside their bytes.
    options = Options.model_validate(asked.model_dump(exclude={"image", "images"}, exclude_unset=True))
    if asked.image is not None:
        return [decode_base64(asked.image)], options
    return [decode_base64(photo, f"images[{place}]") for place, photo in enumerate(asked.images)], options


def parse_json(model: type[_Model], body: bytes) -> _Model:
    """Return what *body* says, as *model* has it.

    Raises:
        ProblemError: it is no JSON, not what is asked for, or more than anybody would ask for.
    """
    # Windows puts a byte order mark before UTF-8; a parser may ignore it (RFC 8259, 8.1).
    body = body.removeprefix(codecs.BOM_UTF8)
    check_shape(body)
    with explained():
        return model.model_validate_json(body)


def decode_base64(photo: str, name: str = "image") -> bytes:
    """Return the bytes of a photo in base64, in either alphabet (RFC 4648) and padded or not, or in a data: URL (RFC 2397).

    Raises:
        ProblemError: it is neither; the field is called *name*.
    """
    encoded = photo[start.end() :] if (start := _DATA_URL.match(photo, 0, _LONGEST_START)) else photo
    # Encoders that follow MIME break the text into lines; those that make URLs escape some characters of it.
    for escape, character in _ESCAPED.items() if "%" in encoded else ():
        encoded = encoded.replace(escape, character)
    try:
        plain = encoded.encode("ascii").translate(_STANDARD, b"\t\n\v\f\r ").rstrip(b"=")
        return binascii.a2b_base64(plain + b"=" * (-len(plain) % 4), strict_mode=True)
    except ValueError as error:
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
            # A name may be of megabytes, and of one word each.
            name = ".".join(str(part)[: 2 * _LONGEST_NAME] for part in first["loc"])
            where = shorten(name, _LONGEST_NAME, placeholder="…") or "The body"
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", f"{where}: {first['msg']}.") from error
