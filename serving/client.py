"""A client of the service."""

from pathlib import Path

import httpx

from serving.schemas import CaptionAnswer, Options
from snap2caption.errors import UserError

_TIMEOUT = 120.0


def caption_photo(url: str, photo: Path, options: Options, api_key: str | None) -> CaptionAnswer:
    """Send *photo* to the service at *url*.

    Raises:
        UserError: the service is away, or refused it; the message is the service's own.
    """
    fields = {name: str(value) for name, value in options.model_dump(mode="json", exclude_none=True).items()}
    headers = {"X-API-Key": api_key} if api_key else {}
    try:
        files = {"image": (photo.name, photo.read_bytes())}
        answer = httpx.post(
            f"{url.rstrip('/')}/generate-caption", data=fields, files=files, headers=headers, timeout=_TIMEOUT
        )
    except OSError as error:
        raise UserError(f"{photo} can't be read ({error.strerror}); give the path of a photo.") from error
    except (httpx.TransportError, httpx.InvalidURL) as error:
        raise UserError(
            f"The service at {url} can't be reached ({error}); start it with `snap2caption serve`."
        ) from error
    if answer.is_error:
        problem = answer.json() if "json" in answer.headers.get("content-type", "") else {}
        raise UserError(problem.get("detail") or f"The service at {url} answered {answer.status_code}.")
    return CaptionAnswer.model_validate(answer.json())
