"""Webhook receiver: a small server that turns Label Studio's deliveries into events in Airflow.

The content of a delivery is never used: it only signals new annotations, and the pull queries Label Studio
itself. So a lost delivery costs a day at most, and a repeated one costs nothing.
"""

import hashlib
import logging
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from etl.feedback.label_studio.signature import HEADER, age_of
from snap2caption.errors import UserError

_log = logging.getLogger(__name__)

_MAX_BODY = 4 << 20
_REMEMBERED = 1024


class WebhookDeliveries:
    """Raises an event for each delivery that was not seen before."""

    def __init__(self, raise_event: Callable[[], None]) -> None:
        self._raise_event = raise_event
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self._lock = threading.Lock()

    def accept(self, body: bytes) -> None:
        """Raise an event unless the same delivery raised one already. It counts as seen once Airflow has
        accepted the event.
        """
        digest = hashlib.sha256(body).digest()
        # Sequential: the same delivery, received twice at once, counts as one.
        with self._lock:
            if digest in self._seen:
                return
            self._raise_event()
            self._seen[digest] = None
            if len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)


def create_app(secret: str, raise_event: Callable[[], None], close: Callable[[], None]) -> Starlette:
    """Return the web application: ``POST /`` with a signature by the secret in its header; ``GET /healthz``.

    It answers 204 once Airflow has, or already had, the event; 401 without a valid signature; 413 if the body
    is larger than any of Label Studio's; 503 if Airflow did not accept the event, so that the sender tries
    again.
    """
    deliveries = WebhookDeliveries(raise_event)

    async def deliver(request: Request) -> Response:
        if age_of(request.headers.get(HEADER, ""), secret) is None:
            return PlainTextResponse(
                "The signature is missing, wrong or too old; `snap2caption label-studio-project` renews it.",
                401,
                {"WWW-Authenticate": f'Signature header="{HEADER}"'},
            )
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MAX_BODY:
                return PlainTextResponse("The body is too large.", 413)
        try:
            await run_in_threadpool(deliveries.accept, bytes(body))
        except UserError as error:
            _log.warning("%s", error)
            return PlainTextResponse("Airflow did not accept the event; deliver again.", 503, {"Retry-After": "10"})
        return Response(status_code=204)

    async def health(_: Request) -> Response:
        return PlainTextResponse("ok")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        close()

    return Starlette(
        routes=[Route("/", deliver, methods=["POST"]), Route("/healthz", health)],
        lifespan=lifespan,
    )
