"""Typed HTTP client. It needs httpx and pydantic, but neither torch nor the service's own dependencies."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from serving.http.readiness_schemas import Readiness
from serving.http.schemas import CaptionAnswer, Options, Voice
from snap2caption.errors import UserError
from snap2caption.http.retrying import RetryingClient

_SECONDS = 120.0
_PATIENCE = 30.0
_CAPTION = "/v1/generate-caption"


class Client:
    """Client for the service at *url*, on behalf of the creator who owns *api_key*.

    Use it as a context manager, or close it. When the service is busy, the client retries after the time in
    ``Retry-After``, for at most *patience* seconds in all. Every call raises `UserError`, with the service's own
    message, if the service can't be reached or refuses the request. Threads may share one client.
    """

    def __init__(
        self, url: str, api_key: str | None = None, *, timeout: float = _SECONDS, patience: float = _PATIENCE
    ) -> None:
        self.url = url.rstrip("/")
        headers = {"X-API-Key": api_key} if api_key else {}
        try:
            self._http = RetryingClient(base_url=self.url, headers=headers, timeout=timeout, patience=patience)
        except httpx.InvalidURL as error:
            raise UserError(f"{url} is not a valid URL ({error}); use one such as http://127.0.0.1:8000.") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def caption(self, *photos: bytes, options: Options | None = None) -> CaptionAnswer:
        """Return a caption with hashtags for one photo, or for the photos of one post in their order.

        Args:
            photos: encoded as JPEG, PNG, WebP, GIF, HEIC or AVIF.
            options: tone, language, number of variants and so on.
        """
        form = _form(photos, options or Options(), stream=False)
        return CaptionAnswer.model_validate(self._request("POST", _CAPTION, **form).json())

    def stream(self, *photos: bytes, options: Options | None = None) -> Iterator[str | CaptionAnswer]:
        """Yield the first variant's caption chunk by chunk as it is generated, then the final answer.

        Only the final answer is authoritative: in rare cases a caption turns out unsafe to publish after its first
        words were shown, and the answer then holds another one.
        """
        form = _form(photos, options or Options(), stream=True)
        with self._transport_errors(), self._http.stream("POST", _CAPTION, **form) as response:
            if response.is_error:
                response.read()
            self._check(response)
            name = ""
            for line in response.iter_lines():
                field, _, value = line.partition(": ")
                if field == "event":
                    name = value
                elif field == "data" and name == "token":
                    token = json.loads(value)
                    if token["variant"] == 0:
                        yield str(token["text"])
                elif field == "data" and name == "answer":
                    yield CaptionAnswer.model_validate_json(value)
                elif field == "data" and name == "error":
                    raise UserError(str(json.loads(value)["detail"]))

    def voice(self) -> list[str]:
        """Return the saved captions that new ones imitate, the newest first."""
        return Voice.model_validate(self._request("GET", "/v1/voice").json()).captions

    def set_voice(self, captions: Sequence[str]) -> None:
        """Save the captions that new ones imitate, the most typical first. Those saved before are erased."""
        self._request("PUT", "/v1/voice", json=Voice(captions=list(captions)).model_dump())

    def forget_voice(self) -> None:
        """Erase the saved captions that new ones imitate."""
        self._request("DELETE", "/v1/voice")

    def model_version(self) -> str:
        """Return the name and version of the model in service.

        Raises:
            UserError: there is none.
        """
        version = Readiness.model_validate(self._request("GET", "/readyz").json()).model_version
        if version is None:
            raise UserError("No model is in service yet; promote one, then try again.")
        return version

    def _request(self, method: str, path: str, **content: Any) -> httpx.Response:
        with self._transport_errors():
            response = self._http.request(method, path, **content)
        self._check(response)
        return response

    def _check(self, response: httpx.Response) -> None:
        kind = response.headers.get("content-type", "")
        if response.is_error:
            problem = response.json() if "json" in kind else {}
            raise UserError(problem.get("detail") or f"The service at {self.url} answered {response.status_code}.")
        if response.is_redirect or "html" in kind:
            raise UserError(
                f"{self.url} is not the service's own address (it answered {response.status_code}); check the URL."
            )

    @contextmanager
    def _transport_errors(self) -> Iterator[None]:
        """Raise `UserError` for errors of the connection."""
        try:
            yield
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise UserError(
                f"The service at {self.url} can't be reached ({error}); start it with `snap2caption serve`."
            ) from error


def _form(photos: Sequence[bytes], options: Options, *, stream: bool) -> dict[str, Any]:
    values = options.model_dump(mode="json", exclude_defaults=True) | {"stream": stream}
    # A form can't hold an empty list: a single empty field stands for it.
    fields = {name: value if value != [] else "" for name, value in values.items()}
    return {"data": fields, "files": [("image", (f"photo-{number}", photo)) for number, photo in enumerate(photos)]}


def read_photo(photo: Path) -> bytes:
    """Return the bytes of a photo's file.

    Raises:
        UserError: the file can't be read.
    """
    try:
        return photo.read_bytes()
    except OSError as error:
        raise UserError(f"{photo} can't be read ({error.strerror}); give the path of a photo.") from error
