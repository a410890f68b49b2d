"""HTTP client that retries after Retry-After."""

import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

logger = logging.getLogger(__name__)

_BUSY = {httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.GATEWAY_TIMEOUT}

_SHORTEST = 0.1
"""The shortest wait in seconds, so that a server that asks for 0 seconds is not retried forever."""


class RetryingClient(httpx.Client):
    """httpx client that retries requests refused with 429, 503 or 504 and a Retry-After (RFC 9110, section 10.2.3).

    Such a refusal means that nothing was done, so any method can be retried. The waits for one request add up to at
    most *patience* seconds. A refusal that asks for a longer wait is returned as it is. A broken connection is not
    a refusal, and raises at once.
    """

    def __init__(self, *, patience: float, **settings: Any) -> None:
        super().__init__(**settings)
        self._patience = patience

    def send(self, request: httpx.Request, **how: Any) -> httpx.Response:
        """Return the response, or the last refusal."""
        # A streamed body can be sent only once. One that was read into memory can be sent again.
        request.read()
        left = self._patience
        while True:
            answer = super().send(request, **how)
            wait = retry_after(answer.headers)
            if answer.status_code not in _BUSY or wait is None or wait > left:
                return answer
            answer.close()
            logger.info("refused with status %d; trying again in %.0f s", answer.status_code, wait)
            time.sleep(wait)
            left -= max(wait, _SHORTEST)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the wait in seconds that a Retry-After header asks for, or None if there is no such header.

    The header holds a number of seconds or a date, which is compared with the server's own clock.
    """
    value = headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(value)
    until = _parse_date(value)
    now = _parse_date(headers.get("date", "")) or datetime.now(UTC)
    return None if until is None else max(0.0, (until - now).total_seconds())


def _parse_date(value: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(value)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
