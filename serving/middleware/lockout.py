"""Lockout of peers that send wrong keys, as OWASP has it: so many in a minute, and whoever was let in from there before is let in still."""

import math
import time
from collections import OrderedDict
from http import HTTPStatus

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.types import Scope

from serving.http.problems import ProblemError
from snap2caption.connections import network_of

_REMEMBERED = 10_000
"""Keys, each with a peer that it came from."""


class Lockout:
    """Keeps each peer to *per_minute* wrong keys. It is asked before a key is looked up: a peer that guesses does not learn of a hit."""

    def __init__(self, per_minute: int) -> None:
        self._rate = RateLimitItemPerMinute(per_minute)
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def check(self, peer: str, digest: str) -> None:
        """Let *peer* go on with the key of that *digest*.

        Raises:
            ProblemError: it has sent too many wrong ones, and this one was not right before.
        """
        if self._limiter.test(self._rate, peer) or (peer, digest) in self._known:
            return
        wait = max(1, math.ceil(self._limiter.get_window_stats(self._rate, peer).reset_time - time.time()))
        detail = f"Too many wrong keys came from your address; wait for {wait} s, and check the key."
        raise ProblemError(HTTPStatus.TOO_MANY_REQUESTS, "wrong_keys", detail, wait)

    def failed(self, peer: str) -> None:
        """Say that *peer* sent a wrong key."""
        self._limiter.hit(self._rate, peer)

    def passed(self, peer: str, digest: str) -> None:
        """Say that *peer* sent a right key: colleagues behind the same address don't lock it out from now on."""
        self._known[peer, digest] = None
        self._known.move_to_end((peer, digest))
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)


def peer_of(scope: Scope) -> str:
    """Return where a request comes from: what a proxy that is trusted says of it, or the address itself."""
    client = scope.get("client")
    return network_of(client[0]) if client else ""
