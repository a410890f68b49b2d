"""A typed client of the service. It needs httpx and pydantic; neither torch nor the service's own dependencies."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from serving.http.schemas import CaptionAnswer, Options, Readiness, Voice
from snap2caption.errors import UserError
from snap2caption.retrying import RetryingClient

_SECONDS = 120.0
_PATIENCE = 30.0
_CAPTION = "/v1/generate-caption"


class Client:
    """The service at *url*, as the creator whose key is *api_key*. Use it as a context manager, or close it.

    A service that is busy is asked again when it said, as long as that takes no more than *patience* seconds. Otherwise every call raises
    `UserError` if the service is away or refuses; the message is the service's own. Calls from several threads may share a client.
    """

    def __init__(
        self, url: str, api_key: str | None = None, *, timeout: float = _SECONDS, patience: float = _PATIENCE
    ) -> None:
        self.url = url.rstrip("/")
        headers = {"X-API-Key": api_key} if api_key else {}
        try:
            self._http = RetryingClient(base_url=self.url, headers=headers, timeout=timeout, patience=patience)
        except httpx.InvalidURL as error:
            raise UserError(f"{url} is no URL ({error}); give one such as http://127.0.0.1:8000.") from error

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
        """Return a post about a photo, or about several photos of one post in their order (JPEG, PNG, WebP, GIF, HEIC or AVIF)."""
        form = _form(photos, options or Options(), stream=False)
        return CaptionAnswer.model_validate(self._ask("POST", _CAPTION, **form).json())

    def stream(self, *photos: bytes, options: Options | None = None) -> Iterator[str | CaptionAnswer]:
        """Yield the first variant's caption piece by piece as it is written, then the answer, which alone counts.

        Rarely a caption proves unfit after its first words were shown; the answer then holds another.
        """
        form = _form(photos, options or Options(), stream=True)
        with self._explained(), self._http.stream("POST", _CAPTION, **form) as answer:
            if answer.is_error:
                answer.read()
            self._check(answer)
            name = ""
            for line in answer.iter_lines():
                field, _, value = line.partition(": ")
                if field == "event":
                    name = value
                elif field == "data" and name == "token":
                    piece = json.loads(value)
                    if piece["variant"] == 0:
                        yield str(piece["text"])
                elif field == "data" and name == "answer":
                    yield CaptionAnswer.model_validate_json(value)
                elif field == "data" and name == "error":
                    raise UserError(str(json.loads(value)["detail"]))

    def voice(self) -> list[str]:
        """Return the captions that yours are written like, the newest first."""
        return Voice.model_validate(self._ask("GET", "/v1/voice").json()).captions

    def set_voice(self, captions: Sequence[str]) -> None:
        """Let captions be written like these, the most telling first; those saved before are erased."""
        self._ask("PUT", "/v1/voice", json=Voice(captions=list(captions)).model_dump())

    def forget_voice(self) -> None:
        """Erase the captions that yours are written like."""
        self._ask("DELETE", "/v1/voice")

    def model_version(self) -> str:
        """Return which model answers."""
        return Readiness.model_validate(self._ask("GET", "/readyz").json()).model_version

    def _ask(self, method: str, path: str, **content: Any) -> httpx.Response:
        with self._explained():
            answer = self._http.request(method, path, **content)
        self._check(answer)
        return answer

    def _check(self, answer: httpx.Response) -> None:
        if answer.is_error:
            problem = answer.json() if "json" in answer.headers.get("content-type", "") else {}
            raise UserError(problem.get("detail") or f"The service at {self.url} answered {answer.status_code}.")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise UserError(
                f"The service at {self.url} can't be reached ({error}); start it with `snap2caption serve`."
            ) from error


def _form(photos: Sequence[bytes], options: Options, *, stream: bool) -> dict[str, Any]:
    given = options.model_dump(mode="json", exclude_defaults=True) | {"stream": stream}
    # A form can't hold an empty list: a single empty field stands for it.
    fields = {name: value if value != [] else "" for name, value in given.items()}
    return {"data": fields, "files": [("image", (f"photo-{number}", photo)) for number, photo in enumerate(photos)]}


def read_photo(photo: Path) -> bytes:
    """Return the content of a photo's file.

    Raises:
        UserError: it can't be read.
    """
    try:
        return photo.read_bytes()
    except OSError as error:
        raise UserError(f"{photo} can't be read ({error.strerror}); give the path of a photo.") from error
