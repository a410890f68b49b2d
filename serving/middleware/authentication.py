"""Who may ask: API keys, and the creators behind them."""

import hmac
import logging
from collections.abc import Callable
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.creators import NOBODY
from serving.http.openapi import KEY_HEADER
from serving.http.problems import ProblemError, refuse
from serving.keys.keyring import Keyring
from serving.keys.store import digest_of
from serving.middleware.lockout import Lockout, peer_of
from serving.paths import METRICS, OPEN, route_path
from snap2caption.errors import UserError

logger = logging.getLogger(__name__)


class KeyAuthentication:
    """Lets in whoever has a key; without keys, everybody. The creator is then ``request.state.creator``.

    It stands before the routes, and knows but the few paths that are open: a route can't forget to ask. Metrics have a token of their own;
    where there are keys and no such token, nobody reads them. A peer that sends many wrong keys is locked out for a while.
    """

    def __init__(self, app: ASGIApp, keyring: Keyring, metrics_token_hash: str | None, failed_per_minute: int) -> None:
        self.app = app
        self._keyring = keyring
        self._token = metrics_token_hash
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
        if path in OPEN or not self._keyring.asked:
            return NOBODY
        sent = Headers(scope=scope).getlist(KEY_HEADER)
        digest = digest_of(sent[0].encode("latin-1") if len(sent) == 1 else b"")
        creator = self._find(self._keyring.creator, digest, scope, sent=bool(sent))
        if creator is None:
            raise ProblemError(
                HTTPStatus.UNAUTHORIZED,
                "bad_key",
                "The API key is missing, wrong, expired or revoked; send a valid one, once, in the header X-API-Key.",
                headers={"WWW-Authenticate": f'ApiKey realm="snap2caption", header="{KEY_HEADER}"'},
            )
        return creator

    def _check_metrics_token(self, scope: Scope) -> None:
        if not self._keyring.asked and not self._token:
            return
        sent = Headers(scope=scope).get("authorization", "")
        scheme, _, token = sent.partition(" ")
        digest = digest_of(token.encode("latin-1") if scheme.lower() == "bearer" else b"")
        if self._find(self._prometheus, digest, scope, sent=bool(sent)) is None:
            raise ProblemError(
                HTTPStatus.UNAUTHORIZED,
                "bad_token",
                "The metrics need the token of SNAP2CAPTION_SERVING_METRICS_TOKEN_HASH; send it as Authorization: Bearer.",
                headers={"WWW-Authenticate": 'Bearer realm="metrics"'},
            )

    def _prometheus(self, digest: str) -> str | None:
        return digest if hmac.compare_digest(digest, self._token or "") else None

    def _find(self, look: Callable[[str], str | None], digest: str, scope: Scope, *, sent: bool) -> str | None:
        """Return what *look* finds by a *digest*. What was *sent* and is wrong counts against the peer.

        Raises:
            ProblemError: the peer is locked out, or nobody can look.
        """
        peer = peer_of(scope)
        if sent:
            self._lockout.check(peer, digest)
        try:
            found = look(digest)
        except UserError as error:
            logger.error("%s", error)  # noqa: TRY400 - it says all
            detail = "Keys can't be checked now; try again later."
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "away", detail, 10) from error
        if found is not None:
            self._lockout.passed(peer, digest)
        elif sent:
            self._lockout.failed(peer)
        return found
