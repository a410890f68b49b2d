"""Reading feedback from a request: multipart or JSON."""

import re
from http import HTTPStatus
from typing import Any

from fastapi import Request

from serving.feedback.schemas import SAYS_SOMETHING, Submission, SubmissionBody
from serving.http.forms import read_form
from serving.http.openapi import form
from serving.http.parsing import parsed
from serving.http.problems import ProblemError
from serving.http.requests import decode_base64, explained, media_type, parse_json

_IMAGE = "image"
_LISTS = ("hashtags", "edited_hashtags")
_KEY = re.compile(r"[!-~]{1,200}")

BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/SubmissionBody"}},
            "multipart/form-data": {
                "schema": form(
                    Submission,
                    {
                        "type": "string",
                        "format": "binary",
                        "description": "The photo: JPEG, PNG, WebP, GIF, HEIC or AVIF.",
                    },
                    {"allOf": [SAYS_SOMETHING, {"oneOf": [{"required": ["image"]}, {"required": ["request_id"]}]}]},
                )
            },
        },
    },
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "schema": {"type": "string", "pattern": f"^{_KEY.pattern}$"},
            "description": "Of your choice; the same feedback sent twice with the same key is taken once.",
        }
    ],
}
"""What OpenAPI says about the body: FastAPI can't tell, as it may come in two forms."""


async def read_submission(request: Request) -> tuple[Submission, bytes | None]:
    """Return what was said, and the photo if one was sent.

    Raises:
        ProblemError: the body is in no form that we take, or a field is wrong.
    """
    kind = media_type(request)
    if kind == "application/json":
        return await parsed(request, _parse_json)
    if kind == "multipart/form-data":
        return await _read_form(request)
    raise ProblemError(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "Send the feedback as application/json, or as multipart/form-data.",
    )


def read_key(request: Request) -> str | None:
    """Return the client's idempotency key.

    Raises:
        ProblemError: it is none.
    """
    keys = request.headers.getlist("idempotency-key")
    if not keys:
        return None
    if len(keys) > 1 or not _KEY.fullmatch(keys[0]):
        detail = "Idempotency-Key must come once, with 1 to 200 printable characters of ASCII and no spaces."
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "bad_key", detail)
    return keys[0]


def _parse_json(body: bytes) -> tuple[Submission, bytes | None]:
    sent = parse_json(SubmissionBody, body)
    with explained():
        submission = Submission(**sent.model_dump(exclude={"image"}))
    return _one_subject(submission, None if sent.image is None else decode_base64(sent.image))


async def _read_form(request: Request) -> tuple[Submission, bytes | None]:
    form = await read_form(request, (_IMAGE,), 1)
    fields: dict[str, Any] = {name: values[-1] for name, values in form.fields.items() if values[-1] != ""}
    # Sent once for each, or all in one field with spaces or commas between them.
    lists = {name: form.fields[name] for name in _LISTS if name in fields}
    tags = {
        name: [tag for value in values for tag in re.split(r"[\s,]+", value) if tag] for name, values in lists.items()
    }
    with explained():
        return _one_subject(Submission.model_validate(fields | tags), next(iter(form.photos), None))


def _one_subject(submission: Submission, image: bytes | None) -> tuple[Submission, bytes | None]:
    if (submission.request_id is None) == (image is None):
        detail = "Say what it is about; send either request_id or the photo in image."
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "no_subject", detail)
    return submission, image
