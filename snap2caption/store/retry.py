"""Retries with exponential backoff for object stores."""

import logging
from collections.abc import Callable, Mapping
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_base, wait_random_exponential

from snap2caption.http.retrying import retry_after

logger = logging.getLogger(__name__)

ATTEMPTS = 6
FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0
"""The longest first wait, and the longest wait, in seconds. Six attempts take about a quarter of a minute, and half a
minute at most.
"""

Result = TypeVar("Result")

Passing = Callable[[BaseException], float | None]
"""Returns the seconds that a server asked to wait after an error (0: it did not say), or None for a permanent error."""


def persistently(call: Callable[[], Result], passing: Passing, attempts: int | None = None) -> Result:
    """Return what *call* returns.

    After a transient error, call it again, *attempts* times in all (by default `ATTEMPTS`).

    Waits grow exponentially and are random, so that many clients do not come back at the same moment. A server's
    Retry-After is honored up to `LONGEST_WAIT`.

    Raises:
        Exception: the last attempt's error, unchanged.
    """
    return Retrying(
        stop=stop_after_attempt(attempts or ATTEMPTS),
        retry=retry_if_exception(lambda error: passing(error) is not None),
        wait=_Wait(passing),
        before_sleep=_log,
        reraise=True,
    )(call)


def seconds(headers: Mapping[str, str]) -> float:
    """Return the seconds that a Retry-After header asks for; 0 if there is none."""
    return retry_after(headers) or 0.0


class _Wait(wait_base):
    def __init__(self, passing: Passing) -> None:
        self._passing = passing
        self._random = wait_random_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT)

    def __call__(self, retry_state: RetryCallState) -> float:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        asked = self._passing(error) if error else None
        return max(self._random(retry_state), min(asked or 0.0, LONGEST_WAIT))


def _log(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    logger.warning("the store failed (%s); trying again in %.1f s", error, state.upcoming_sleep)
