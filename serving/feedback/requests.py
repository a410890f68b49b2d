"""Request parser of the feedback routes: a submission and its photo, from multipart or JSON."""

import re
from http import HTTPStatus
from typing import Any

from fastapi import Request

from serving.feedback.schemas import SAYS_SOMETHING, Submission, SubmissionBody
from serving.http.forms import read_form
from serving.http.openapi import form_schema
from serving.http.parsing import parse_body
from serving.http.problems import ProblemError
from serving.http.requests import InvalidAsProblem, decode_base64, media_type, parse_json

_IMAGE = "image"
_LISTS = ("hashtags", "edited_hashtags")
_KEY = re.compile(r"[!-~]{1,200}")

BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/SubmissionBody"}},
            "multipart/form-data": {
                "schema": form_schema(
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
            "description": "A key of your choice. The same feedback sent twice with the same key is accepted once.",
        }
    ],
}
"""OpenAPI description of the body: FastAPI can't infer one that has two media types."""


async def read_submission(request: Request) -> tuple[Submission, bytes | None]:
    """Return the submission, and the encoded photo if one was sent.

    Raises:
        ProblemError: the media type is not supported, or the body or a field is invalid.
    """
    kind = media_type(request)
    if kind == "application/json":
        return await parse_body(request, _parse_json)
    if kind == "multipart/form-data":
        return await _read_form(request)
    raise ProblemError(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "Send the feedback as application/json, or as multipart/form-data.",
    )


def read_key(request: Request) -> str | None:
    """Return the client's idempotency key, or None.

    Raises:
        ProblemError: the key is invalid or sent more than once.
    """
    keys = request.headers.getlist("idempotency-key")
    if not keys:
        return None
    if len(keys) > 1 or not _KEY.fullmatch(keys[0]):
        detail = "Send Idempotency-Key once, with 1 to 200 printable ASCII characters and no spaces."
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "bad_key", detail)
    return keys[0]


def _parse_json(body: bytes) -> tuple[Submission, bytes | None]:
    parsed = parse_json(SubmissionBody, body)
    with InvalidAsProblem():
        submission = Submission(**parsed.model_dump(exclude={"image"}))
    return _check_subject(submission, None if parsed.image is None else decode_base64(parsed.image))


async def _read_form(request: Request) -> tuple[Submission, bytes | None]:
    form = await read_form(request, (_IMAGE,), 1)
    fields: dict[str, Any] = {name: values[-1] for name, values in form.fields.items() if values[-1] != ""}
    # Hashtags come as a repeated field, or all in one field, separated by spaces or commas.
    lists = {name: form.fields[name] for name in _LISTS if name in fields}
    tags = {
        name: [tag for value in values for tag in re.split(r"[\s,]+", value) if tag] for name, values in lists.items()
    }
    with InvalidAsProblem():
        return _check_subject(Submission.model_validate(fields | tags), next(iter(form.photos), None))


def _check_subject(submission: Submission, image: bytes | None) -> tuple[Submission, bytes | None]:
    """Return the arguments, if there is either a request id or a photo."""
    if (submission.request_id is None) == (image is None):
        detail = "The feedback needs one subject; send either request_id, or the photo in image."
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "no_subject", detail)
    return submission, image
