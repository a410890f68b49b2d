"""Who may ask: API keys, and the creators behind them."""

import hashlib
import hmac
from collections.abc import Collection
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.paths import METRICS, OPEN, route_path
from serving.problems import ProblemError, refuse

KEY_HEADER = "X-API-Key"


def digest_of(key: bytes) -> str:
    """Return a key's SHA-256 in hex: what is kept of it, and the creator's name."""
    return hashlib.sha256(key).hexdigest()


class KeyGuard:
    """Lets in whoever has a key; without keys, everybody. The creator is then ``request.state.creator``.

    It stands before the routes, and knows but the few paths that are open: a route can't forget to ask. Metrics have a token of their own.
    """

    def __init__(self, app: ASGIApp, key_hashes: Collection[str], metrics_token_hash: str | None) -> None:
        self.app = app
        self.key_hashes = tuple(key_hashes)
        self.metrics_token_hash = metrics_token_hash

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
        if not self.key_hashes or path in OPEN:
            return digest_of(b"")
        keys = Headers(scope=scope).getlist(KEY_HEADER)
        digest = digest_of(keys[0].encode("latin-1") if len(keys) == 1 else b"")
        if not is_known(digest, self.key_hashes):
            raise ProblemError(
                HTTPStatus.UNAUTHORIZED,
                "bad_key",
                "The API key is missing or wrong; send it once, in the header X-API-Key.",
                headers={"WWW-Authenticate": f'ApiKey realm="snap2caption", header="{KEY_HEADER}"'},
            )
        return digest

    def _check_metrics_token(self, scope: Scope) -> None:
        if self.metrics_token_hash is None:
            return
        scheme, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
        digest = digest_of(token.encode("latin-1") if scheme.lower() == "bearer" else b"")
        if not is_known(digest, (self.metrics_token_hash,)):
            raise ProblemError(
                HTTPStatus.UNAUTHORIZED,
                "bad_token",
                "The metrics need their token; send it as Authorization: Bearer.",
                headers={"WWW-Authenticate": 'Bearer realm="metrics"'},
            )


def is_known(digest: str, known: Collection[str]) -> bool:
    """Whether *digest* is one of *known*. Each is compared, in constant time: how long it takes tells nothing about how near one came."""
    return sum(hmac.compare_digest(digest, one) for one in known) > 0
