"""Request context, the outermost middleware: request ids, security headers, the access log and internal errors."""

import logging
import time
import traceback
import uuid
from collections.abc import Collection
from http import HTTPStatus

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.problems import internal_error, refuse
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
    """Gives each request an id and each response the security headers, and writes one access log line per request.

    The log line never contains a photo, a caption or a key. Requests to the paths in *counted* are counted by status.
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

        async def send_with_headers(message: Message) -> None:
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
                await self.app(scope, receive, send_with_headers)
            except Exception as error:
                # Log the type and the place, but not the message: it may repeat what the creator sent.
                stack = "".join(traceback.format_tb(error.__traceback__))
                logger.error("unhandled %s\n%s", type(error).__name__, stack)  # noqa: TRY400
                if status is not None:
                    raise
                await refuse(internal_error(request_id), scope, receive, send_with_headers)
            finally:
                status = status or HTTPStatus.INTERNAL_SERVER_ERROR
                if route_path(scope) in self.counted:
                    REQUESTS.labels(str(int(status))).inc()
                fields = {
                    "method": scope["method"],
                    "path": shown_path(scope),
                    "status": int(status),
                    "ms": round(1000 * (time.monotonic() - started), 1),
                }
                access.info("request", extra=fields)
