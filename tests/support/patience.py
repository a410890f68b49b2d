"""Patience, so that no test depends on how fast a machine is: waits that end with what they wait for, requests that
come again when told to.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import httpx

from snap2caption.http.retrying import RetryingClient

LONGEST = 900.0
"""Seconds that anything may take which is sure to happen: for deadlines, time-outs, and what a busy service may ask
to wait.

A machine that is idle never waits so long, and one that is busy may; only what never happens is found by it.
"""

_POLL = 0.02

_Found = TypeVar("_Found")


def until(look: Callable[[], _Found], told: Callable[[], object] = lambda: "it never happened") -> _Found:
    """Look again and again until there is something, and return it; after `LONGEST` seconds, fail with what is
    *told*.
    """
    deadline = time.monotonic() + LONGEST
    while not (found := look()):
        assert time.monotonic() < deadline, told()
        time.sleep(_POLL)
    return found


def client(**settings: Any) -> httpx.Client:
    """Return a client that waits for answers, and sends again what load shedding refused (429, 503, 504 with
    Retry-After).
    """
    # Real servers of tests are on loopback: to read the authorities' certificates takes longer than most of their
    # answers.
    return RetryingClient(patience=LONGEST, timeout=LONGEST, verify=False, **settings)


def request(method: str, url: str, **content: Any) -> httpx.Response:
    """Send one request by such a client."""
    with client() as sender:
        return sender.request(method, url, **content)


get, post, put, delete = (partial(request, method) for method in ("GET", "POST", "PUT", "DELETE"))
