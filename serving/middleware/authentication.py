"""Authentication by API key: each key belongs to a creator."""

import hmac
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.creators import ANONYMOUS
from serving.http.openapi import KEY_HEADER
from serving.http.problems import ProblemError, refuse
from serving.keys.keyring import Keyring
from serving.keys.store import digest_of
from serving.middleware.lockout import Lockout, peer_of
from serving.paths import METRICS, OPEN, route_path
from snap2caption.errors import UserError

logger = logging.getLogger(__name__)


class KeyAuthentication:
    """Admits requests with a valid API key and sets ``request.state.creator``. Without keys, it admits all requests.

    It runs before the routes and has a short list of open paths, so no route can forget to check. The metrics have a
    token of their own; if there are keys but no such token, nobody can read them. A peer that sends many wrong keys is
    locked out for a while.
    """

    def __init__(self, app: ASGIApp, keyring: Keyring, lockout: Lockout, metrics_token_hash: str | None) -> None:
        self.app = app
        self._keyring = keyring
        self._token = metrics_token_hash
        self._lockout = lockout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        try:
            scope.setdefault("state", {})["creator"] = await self._creator(scope)
        except ProblemError as problem:
            await refuse(problem, scope, receive, send)
            return
        await self.app(scope, receive, send)

    async def _creator(self, scope: Scope) -> str:
        # The path as the server decoded it and the router compares it: no other spelling of an open path is open.
        path = route_path(scope)
        if path == METRICS:
            await self._check_metrics_token(scope)
        if path in OPEN or not self._keyring.requires_key:
            return ANONYMOUS
        sent = Headers(scope=scope).getlist(KEY_HEADER)
        digest = digest_of(sent[0].encode("latin-1") if len(sent) == 1 else b"")
        creator = await self._authenticate(self._keyring.creator, digest, scope, sent=bool(sent))
        if creator is None:
            raise ProblemError(
                HTTPStatus.UNAUTHORIZED,
                "bad_key",
                "The API key is missing, wrong, expired or revoked; send one valid key in the X-API-Key header.",
                headers={"WWW-Authenticate": f'ApiKey realm="snap2caption", header="{KEY_HEADER}"'},
            )
        return creator

    async def _check_metrics_token(self, scope: Scope) -> None:
        if not self._keyring.requires_key and not self._token:
            return
        sent = Headers(scope=scope).get("authorization", "")
        scheme, _, token = sent.partition(" ")
        digest = digest_of(token.encode("latin-1") if scheme.lower() == "bearer" else b"")
        if await self._authenticate(self._match_metrics_token, digest, scope, sent=bool(sent)) is None:
            raise ProblemError(
                HTTPStatus.UNAUTHORIZED,
                "bad_token",
                "The metrics need the token whose hash is SNAP2CAPTION_SERVING_METRICS_TOKEN_HASH; "
                "send it as Authorization: Bearer.",
                headers={"WWW-Authenticate": 'Bearer realm="metrics"'},
            )

    async def _match_metrics_token(self, digest: str) -> str | None:
        return digest if hmac.compare_digest(digest, self._token or "") else None

    async def _authenticate(
        self, look_up: Callable[[str], Awaitable[str | None]], digest: str, scope: Scope, *, sent: bool
    ) -> str | None:
        """Return what *look_up* finds for a credential's digest. A wrong one that was *sent* counts against the peer.

        Raises:
            ProblemError: the peer is locked out, or the lookup fails.
        """
        peer = peer_of(scope)
        try:
            if sent:
                await self._lockout.check(peer, digest)
            found = await look_up(digest)
            if found is None and sent:
                await self._lockout.failed(peer)
        except UserError as error:
            logger.error("%s", error)  # noqa: TRY400 - the message says it all
            detail = "API keys can't be checked at the moment; try again later."
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "away", detail, 10) from error
        if found is not None:
            self._lockout.passed(peer, digest)
        return found
