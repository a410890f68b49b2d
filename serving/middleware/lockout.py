"""Lockout of peers that send wrong API keys (OWASP): a limit per minute, with an exception for known valid keys."""

import math
import time
from collections import OrderedDict
from http import HTTPStatus

from limits import RateLimitItemPerMinute
from starlette.types import Scope

from serving.http.problems import ProblemError
from serving.middleware.limiter import Limiter
from snap2caption.http.connections import network_of

_MAX_KNOWN = 10_000
"""Remembered pairs of a peer and a valid key."""


class Lockout:
    """Limits each peer to *per_minute* wrong keys.

    It is checked before a key is looked up, so that a peer that is locked out can't find out whether a guess is right.
    A key that was valid from the same peer before still works: colleagues behind one address don't lock each other out.
    """

    def __init__(self, limiter: Limiter, per_minute: int) -> None:
        self._rate = RateLimitItemPerMinute(per_minute, namespace="wrong keys")
        self._limiter = limiter
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    async def check(self, peer: str, digest: str) -> None:
        """Check that *peer* may try the key with this *digest*.

        Raises:
            ProblemError: the peer has sent too many wrong keys, and this key was not valid from there before.
        """
        if (peer, digest) in self._known or await self._limiter.test(self._rate, peer):
            return
        wait = max(1, math.ceil((await self._limiter.stats(self._rate, peer)).reset_time - time.time()))
        detail = f"Too many wrong keys came from your address; check the key and try again in {wait} s."
        raise ProblemError(HTTPStatus.TOO_MANY_REQUESTS, "wrong_keys", detail, wait)

    async def failed(self, peer: str) -> None:
        """Count a wrong key from *peer*."""
        await self._limiter.hit(self._rate, peer)

    def passed(self, peer: str, digest: str) -> None:
        """Remember that *peer* sent a valid key: others behind the same address can't lock it out from now on."""
        self._known[peer, digest] = None
        self._known.move_to_end((peer, digest))
        if len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)


def peer_of(scope: Scope) -> str:
    """Return the network that a request comes from: the client's address, or what a trusted proxy reports as such."""
    client = scope.get("client")
    return network_of(client[0]) if client else ""
