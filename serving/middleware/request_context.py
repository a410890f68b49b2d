"""ASGI middleware around all others: request ids, security headers, the access log, and an answer where something broke."""

import logging
import time
import traceback
import uuid
from collections.abc import Collection
from http import HTTPStatus

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.problems import broken, refuse
from serving.observability.metrics import REQUESTS
from serving.paths import route_path, shown_path

logger = logging.getLogger(__name__)
access = logging.getLogger("serving.access")

_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class RequestContext:
    """Gives each request an id, each answer the security headers, and the log one line: never a photo, a caption or a key.

    Requests to the paths in *counted* are counted by status.
    """

    def __init__(self, app: ASGIApp, counted: Collection[str]) -> None:
        self.app = app
        self.counted = counted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        started = time.monotonic()
        status: int | None = None

        async def enveloped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                for name, value in _SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, receive, enveloped)
            except Exception as error:
                # Where, but not what: a message may repeat what the creator sent.
                place = "".join(traceback.format_tb(error.__traceback__))
                logger.error("%s: nobody caught it\n%s", type(error).__name__, place)  # noqa: TRY400
                if status is not None:
                    raise
                await refuse(broken(request_id), scope, receive, enveloped)
            finally:
                status = status or HTTPStatus.INTERNAL_SERVER_ERROR
                if route_path(scope) in self.counted:
                    REQUESTS.labels(str(int(status))).inc()
                line = {
                    "method": scope["method"],
                    "path": shown_path(scope),
                    "status": int(status),
                    "ms": round(1000 * (time.monotonic() - started), 1),
                }
                access.info("request", extra=line)
