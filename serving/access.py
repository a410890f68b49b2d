"""Who may ask: API keys, and the creators behind them."""

import hashlib
import hmac
from collections.abc import Collection, Mapping
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.lockout import Lockout, peer_of
from serving.paths import METRICS, OPEN, route_path
from serving.problems import ProblemError, refuse

KEY_HEADER = "X-API-Key"


def digest_of(key: bytes) -> str:
    """Return a key's SHA-256 in hex: what is kept of it, and the creator's name."""
    return hashlib.sha256(key).hexdigest()


class KeyGuard:
    """Lets in whoever has a key; without keys, everybody. The creator is then ``request.state.creator``.

    It stands before the routes, and knows but the few paths that are open: a route can't forget to ask. Metrics have a token of their own;
    where there are keys and no such token, nobody reads them. A peer that sends many wrong keys is locked out for a while.
    """

    def __init__(
        self, app: ASGIApp, key_hashes: Collection[str], metrics_token_hash: str | None, failed_per_minute: int
    ) -> None:
        self.app = app
        self._keys = _index(key_hashes)
        self._tokens = _index([metrics_token_hash] if metrics_token_hash else [])
        self._lockout = Lockout(failed_per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        try:
            scope.setdefault("state", {})["creator"] = self._creator(scope)
        except ProblemError as problem:
            await refuse(problem, scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _creator(self, scope: Scope) -> str:
        # As the server decoded it, and as the routes compare it: no other spelling of an open path is open.
        path = route_path(scope)
        if path == METRICS:
            self._check_metrics_token(scope)
        if not self._keys or path in OPEN:
            return digest_of(b"")
        sent = Headers(scope=scope).getlist(KEY_HEADER)
        digest = digest_of(sent[0].encode("latin-1") if len(sent) == 1 else b"")
        if not self._is_known(digest, self._keys, scope, sent=bool(sent)):
            raise ProblemError(
                HTTPStatus.UNAUTHORIZED,
                "bad_key",
                "The API key is missing or wrong; send it once, in the header X-API-Key.",
                headers={"WWW-Authenticate": f'ApiKey realm="snap2caption", header="{KEY_HEADER}"'},
            )
        return digest

    def _check_metrics_token(self, scope: Scope) -> None:
        if not self._keys and not self._tokens:
            return
        sent = Headers(scope=scope).get("authorization", "")
        scheme, _, token = sent.partition(" ")
        digest = digest_of(token.encode("latin-1") if scheme.lower() == "bearer" else b"")
        if not self._is_known(digest, self._tokens, scope, sent=bool(sent)):
            raise ProblemError(
                HTTPStatus.UNAUTHORIZED,
                "bad_token",
                "The metrics need the token of SNAP2CAPTION_SERVING_METRICS_TOKEN_HASH; send it as Authorization: Bearer.",
                headers={"WWW-Authenticate": 'Bearer realm="metrics"'},
            )

    def _is_known(self, digest: str, known: Mapping[str, str], scope: Scope, *, sent: bool) -> bool:
        """Whether *digest* is one of *known*. What was *sent* and is wrong counts against the peer.

        Raises:
            ProblemError: the peer is locked out.
        """
        peer = peer_of(scope)
        if sent:
            self._lockout.check(peer, digest)
        if is_known(digest, known):
            self._lockout.passed(peer, digest)
            return True
        if sent:
            self._lockout.failed(peer)
        return False


_INDEXED = 16
"""Digits of a digest that it is found by, however many there are: nobody can make a key whose digest begins as they wish it to."""


def _index(digests: Collection[str]) -> Mapping[str, str]:
    return {digest[:_INDEXED]: digest for digest in digests}


def is_known(digest: str, known: Mapping[str, str]) -> bool:
    """Whether *digest* is in the index *known*. One is compared, in constant time: how long it takes tells nothing about how near one came."""
    return hmac.compare_digest(digest, known.get(digest[:_INDEXED], ""))
