"""An HTTP client that sends a request again which a busy server refused, once the time that it named in Retry-After has passed."""

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
"""What a wait of no seconds counts for, so that a server which names none is not asked for ever."""


class RetryingClient(httpx.Client):
    """httpx's client, which sends a request again while it is refused with 429, 503 or 504 and a Retry-After (RFC 9110, 10.2.3).

    Such a refusal says that nothing was done, so any method may be sent again. All waits of a request take *patience* seconds at most: a
    refusal that asks for more is returned as it is. A connection that breaks is nobody's refusal, and raises at once.
    """

    def __init__(self, *, patience: float, **settings: Any) -> None:
        super().__init__(**settings)
        self._patience = patience

    def send(self, request: httpx.Request, **how: Any) -> httpx.Response:
        """Return the answer, or the last refusal."""
        # A body that was streamed once is gone; one that was read can be sent again.
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
    """Return how many seconds a Retry-After header asks to wait, be it a number or a date (by the server's own clock); None if there is none."""
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
