"""Error formats of OpenAI-compatible servers, and what they mean for the operator and for creators.

The formats: OpenAI and vLLM answer ``{"error": {"message", "type", "param", "code"}}``; Ollama the same, or ``{"error":
"text"}`` as LM Studio does; llama.cpp ``{"error": {"code": 503, "message", "type"}}``; FastAPI servers, such as
``transformers serve``, ``{"detail": "text"}`` or a list of validation errors; Google a list with one error in it.
"""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Self

from snap2caption.errors import UserError
from snap2caption.redaction import HIDDEN

_RETRY_SECONDS = 5
_MAX_RETRY_SECONDS = 300
_QUOTED_CHARACTERS = 200
_NAME_CHARACTERS = 80

_TOO_LONG = re.compile(
    r"context[ _-]?(?:length|size|window)|maximum (?:model|input|prompt) length|prompt is too long", re.IGNORECASE
)
"""How vLLM, OpenAI, llama.cpp (``exceed_context_size_error``) and TGI report a prompt longer than the context."""

_BLIND = re.compile(
    r"(?:not|n't) support (?:image|vision)|image input is not supported|not a multimodal model|at most 0 image"
    r"|content part type: ?\\?\"?image_url|image_url is only supported|support image input|required for image input",
    re.IGNORECASE,
)
"""How servers refuse a photo: Ollama ("this model does not support image input", "missing data required for image
input"), llama.cpp ("image input is not supported", "unsupported content part type"), LM Studio ("Model does not support
images"), vLLM ("is not a multimodal model", "At most 0 image(s) may be provided"), OpenAI ("image_url is only supported
by certain models") and OpenRouter ("No endpoints found that support image input")."""

_NO_MODEL = re.compile(r"model.{0,200}(?:not found|does not exist)|no models? loaded|model_not_found", re.IGNORECASE)
_LOADING = re.compile(r"loading model", re.IGNORECASE)
_NO_QUOTA = re.compile(r"insufficient_quota|exceeded your current quota|insufficient (?:credit|balance)", re.IGNORECASE)
_STATUS = re.compile(r"\b[45]\d\d\b")
_SECRET = re.compile(r"\bsk-[\w*-]+")
_BLOB = re.compile(r"\S{60,}")


class EngineUnavailableError(UserError):
    """The model server does not answer, or rejects the request. Creators are shown the message."""

    def __init__(self, message: str, retry_after: int = _RETRY_SECONDS) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds after which a client may try again."""


class ContextExceededError(Exception):
    """The server reports that the prompt is longer than its model's context."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error that a server has reported."""

    status: int
    message: str
    code: str = ""
    """The error's machine-readable types and codes."""
    parameter: str | None = None
    """The parameter that the error is about, if the server names it apart from the message."""
    retry_after: int = _RETRY_SECONDS

    @classmethod
    def read(cls, status: int, body: bytes, retry_after: str | None = None) -> Self:
        """Return the refusal in a response's *body*, in any of the formats above or as plain text."""
        try:
            payload = json.loads(body)
        except ValueError:
            payload = body.decode(errors="replace")
        message, code, parameter = _fields(payload)
        if status < 400:
            # An error within a stream: llama.cpp repeats the status in it.
            reported = _STATUS.search(code)
            status = int(reported[0]) if reported else 500
        seconds = int(retry_after) if retry_after and retry_after.isascii() and retry_after.isdigit() else 0
        return cls(status, message, code, parameter, min(seconds or _RETRY_SECONDS, _MAX_RETRY_SECONDS))

    @property
    def is_loading(self) -> bool:
        """Whether the server is still loading its model, as llama.cpp reports with status 503."""
        return self.status == 503 and bool(_LOADING.search(self.message))

    def refused_parameter(self, names: Collection[str]) -> str | None:
        """Return which of the parameters *names* the server rejects, or None."""
        if self.status not in (400, 422):
            return None
        places = {name: at.start() for name in names if (at := re.search(rf"(?<!\w){name}(?!\w)", self.message))}
        # "Unsupported parameter: 'max_tokens' … Use 'max_completion_tokens' instead": the first one is meant.
        if self.parameter is not None and self.parameter in names:
            return self.parameter
        return min(places, key=lambda name: places[name], default=None)

    def error(self) -> Exception:
        """Return the exception for this refusal, with a sentence that a creator may read.

        It is a `ContextExceededError` or an `EngineUnavailableError`.
        """
        told = f"{self.code} {self.message}"
        if _TOO_LONG.search(told) and self.status != 429:
            return ContextExceededError()
        return EngineUnavailableError(self._sentence(told), self.retry_after)

    def _sentence(self, told: str) -> str:
        operator = "whoever runs this service"
        if self.status < 400:
            return (
                "The model server redirects to another address (see the log); "
                f"{operator} must correct SNAP2CAPTION_SERVING_ENGINE_URL."
            )
        if self.status in (401, 403):
            return (
                f"The model server rejects the service's key (status {self.status}); "
                f"{operator} must set SNAP2CAPTION_SERVING_ENGINE_KEY."
            )
        if self.status == 402 or _NO_QUOTA.search(told):
            return f"The model server's quota is used up; {operator} must raise it."
        if self.status == 429:
            return f"The model server is busy; try again in {self.retry_after} s."
        if self.is_loading:
            return "The model server is still loading the model; try again in a minute."
        if _BLIND.search(told):
            return (
                f"The model can't see photos; {operator} must choose a vision model "
                "(llama.cpp also needs the projector's file, --mmproj)."
            )
        if _NO_MODEL.search(told):
            return f"The model server does not have the model any more; {operator} must load it there."
        return f"The model server responded with status {self.status}; see its log."

    def quote(self, key: str = "") -> str:
        """Return the beginning of the server's text for the log, without *key* and without long data.

        Some servers repeat the request after a line break, so only the first line is quoted.
        """
        first_line = self.message.strip().partition("\n")[0]
        hidden = first_line.replace(key, HIDDEN) if key else first_line
        return shorten(_BLOB.sub("…", _SECRET.sub(HIDDEN, hidden)), _QUOTED_CHARACTERS)


def shorten(text: str, limit: int = _NAME_CHARACTERS) -> str:
    """Return *text* for a message: at most *limit* characters, without control characters."""
    shown = "".join(character if character.isprintable() else " " for character in text[: limit + 1])
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"


def _fields(payload: Any) -> tuple[str, str, str | None]:
    """Return message, codes and parameter of an error in any of the formats."""
    if isinstance(payload, list):
        payload = payload[0] if len(payload) == 1 else {"detail": payload}
    if not isinstance(payload, dict):
        return str(payload), "", None
    error = next((payload[name] for name in ("error", "detail") if payload.get(name)), payload)
    if isinstance(error, list):
        return "; ".join(_validation_error(item) for item in error), "", None
    if not isinstance(error, dict):
        return str(error), "", None
    parameter = error.get("param")
    codes = (error.get(name) for name in ("type", "code", "status"))
    return (
        str(error.get("message") or ""),
        " ".join(str(code) for code in codes if code),
        parameter if isinstance(parameter, str) else None,
    )


def _validation_error(item: Any) -> str:
    """Return one of FastAPI's validation errors without the value that was sent."""
    place = item.get("loc") if isinstance(item, dict) else None
    return f"{'.'.join(map(str, place))}: {item.get('msg')}" if isinstance(place, list) else ""
