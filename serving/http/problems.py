"""Problem details (RFC 9457): the body of every refusal."""

import logging
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from serving.observability.metrics import REFUSALS
from serving.paths import PROBES, route_path
from serving.scheduling.thread_pools import PoolBusyError
from snap2caption.errors import UserError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

CLIENT_LEFT = 499
"""Status for the log and the metrics, as nginx has it: the client has disconnected and gets no answer."""


class ProblemBody(BaseModel):
    """Problem details (RFC 9457) with a machine-readable reason."""

    type: str = "about:blank"
    title: str = Field(examples=["Service Unavailable"])
    status: int = Field(examples=[503])
    detail: str = Field(
        description="One sentence that says what to do next.",
        examples=["Too many photos wait already; try again in some seconds."],
    )
    reason: str = Field(description="Machine-readable error code.", examples=["queue_full"])


class ProblemError(Exception):
    """A refusal of a request: *detail* is one sentence that says what to do next."""

    def __init__(
        self,
        status: HTTPStatus,
        reason: str,
        detail: str,
        retry_after: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.headers = dict(headers or {})
        self.status = status
        self.reason = reason
        self.retry_after = retry_after

    def body(self) -> ProblemBody:
        """Return the problem body."""
        return ProblemBody(title=self.status.phrase, status=self.status, detail=str(self), reason=self.reason)

    def response(self, more: BaseModel | None = None) -> JSONResponse:
        """Return the HTTP response; the fields of *more* are added to the body."""
        headers = self.headers | ({} if self.retry_after is None else {"Retry-After": str(self.retry_after)})
        content = self.body().model_dump() | (more.model_dump() if more else {})
        return JSONResponse(content, status_code=self.status, headers=headers, media_type=MEDIA_TYPE)


def internal_error(request_id: str) -> ProblemError:
    """Return the answer to a request that failed because of a bug."""
    detail = f"Internal error; report the request id {request_id}."
    return ProblemError(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", detail)


def state_away(error: UserError) -> ProblemError:
    """Return the answer to a request that needs the service's database while that can't be used, and log why."""
    logger.error("%s", error)
    detail = "The service's database is temporarily unavailable; send it again later."
    return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "away", detail, 10)


async def refuse(problem: ProblemError, scope: Scope, receive: Receive, send: Send) -> None:
    """Send *problem* from middleware, which the exception handlers don't cover, and count it."""
    REFUSALS.labels(problem.reason).inc()
    await problem.response()(scope, receive, send)


def add_handlers(app: FastAPI) -> None:
    """Add exception handlers that answer with problem bodies and count them by reason. Failing probes don't count."""

    def answer(request: Request, problem: ProblemError) -> JSONResponse:
        if route_path(request.scope) not in PROBES:
            REFUSALS.labels(problem.reason).inc()
        return problem.response()

    @app.exception_handler(ProblemError)
    async def problem(request: Request, error: ProblemError) -> JSONResponse:
        return answer(request, error)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        # FastAPI turns every exception while it reads a body into a 400. Restore the original problem.
        if isinstance(error.__cause__, ProblemError):
            return answer(request, error.__cause__)
        status = HTTPStatus(error.status_code)
        response = answer(request, ProblemError(status, status.name.lower(), f"{error.detail}; see /docs for the API."))
        response.headers.update(error.headers or {})
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            # Starlette lists only the methods of the first route with this path.
            response.headers["Allow"] = ", ".join(sorted(_methods(app, request.scope)))
        return response

    @app.exception_handler(UserError)
    async def unavailable(request: Request, error: UserError) -> JSONResponse:
        logger.warning("request %s: %s", request.state.request_id, error)
        detail = "A dependency is temporarily unavailable; try again later."
        return answer(request, ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "away", detail, 10))

    @app.exception_handler(ClientDisconnect)
    async def disconnected(request: Request, error: ClientDisconnect) -> Response:  # noqa: ARG001 - has no details
        return Response(status_code=CLIENT_LEFT)

    @app.exception_handler(PoolBusyError)
    async def busy(request: Request, error: PoolBusyError) -> JSONResponse:  # noqa: ARG001 - has no details
        detail = "The service is handling too many requests of this kind; try again in a few seconds."
        return answer(request, ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "busy", detail, 2))

    @app.exception_handler(RequestValidationError)
    async def validation(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return answer(
            request, ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", f"{first['loc'][-1]}: {first['msg']}.")
        )


def _methods(app: FastAPI, scope: Scope) -> set[str]:
    """Return the HTTP methods that the routes support for the path in *scope*."""
    methods = {
        method
        for route in app.routes
        if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE
        for method in route.methods or ()
    }
    return methods | ({"HEAD"} if "GET" in methods else set())
