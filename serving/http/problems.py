"""Refusals as RFC 9457 problem bodies."""

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
"""For the log and the metrics only: nobody is there to read the answer."""


class ProblemBody(BaseModel):
    """The body of every answer that is not a caption."""

    type: str = "about:blank"
    title: str = Field(examples=["Service Unavailable"])
    status: int = Field(examples=[503])
    detail: str = Field(
        description="One sentence that says what to do.",
        examples=["Too many photos wait already; try again in some seconds."],
    )
    reason: str = Field(description="A word for programs.", examples=["queue_full"])


class ProblemError(Exception):
    """A request is refused: *detail* is one sentence that says what to do."""

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
        """Return the body alone."""
        return ProblemBody(title=self.status.phrase, status=self.status, detail=str(self), reason=self.reason)

    def response(self, more: BaseModel | None = None) -> JSONResponse:
        """Return the answer, with the fields of *more* beside its own."""
        headers = self.headers | ({} if self.retry_after is None else {"Retry-After": str(self.retry_after)})
        content = self.body().model_dump() | (more.model_dump() if more else {})
        return JSONResponse(content, status_code=self.status, headers=headers, media_type=MEDIA_TYPE)


def broken(request_id: str) -> ProblemError:
    """Return the refusal of a request that met a fault of ours."""
    detail = f"Something broke; report request {request_id}."
    return ProblemError(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", detail)


async def refuse(problem: ProblemError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with *problem* from where no handler of exceptions stands: before the routes."""
    REFUSALS.labels(problem.reason).inc()
    await problem.response()(scope, receive, send)


def add_handlers(app: FastAPI) -> None:
    """Answer every refusal with a problem body, and count it by its reason; a probe that finds no model is no refusal."""

    def answer(request: Request, problem: ProblemError) -> JSONResponse:
        if route_path(request.scope) not in PROBES:
            REFUSALS.labels(problem.reason).inc()
        return problem.response()

    @app.exception_handler(ProblemError)
    async def problem(request: Request, error: ProblemError) -> JSONResponse:
        return answer(request, error)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        # FastAPI takes whatever ends the reading of a body for a bad body.
        if isinstance(error.__cause__, ProblemError):
            return answer(request, error.__cause__)
        status = HTTPStatus(error.status_code)
        response = answer(
            request, ProblemError(status, status.name.lower(), f"{error.detail}; see /docs for what there is.")
        )
        response.headers.update(error.headers or {})
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            # Starlette tells the methods of the first route only that has the path.
            response.headers["Allow"] = ", ".join(sorted(_methods(app, request.scope)))
        return response

    @app.exception_handler(UserError)
    async def away(request: Request, error: UserError) -> JSONResponse:
        logger.warning("request %s: %s", request.state.request_id, error)
        detail = "What this needs is away for now; try again later."
        return answer(request, ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "away", detail, 10))

    @app.exception_handler(ClientDisconnect)
    async def left(request: Request, error: ClientDisconnect) -> Response:  # noqa: ARG001 - it says nothing
        return Response(status_code=CLIENT_LEFT)

    @app.exception_handler(PoolBusyError)
    async def busy(request: Request, error: PoolBusyError) -> JSONResponse:  # noqa: ARG001 - it says nothing more
        detail = "The service does too much of this at once; try again in some seconds."
        return answer(request, ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "busy", detail, 2))

    @app.exception_handler(RequestValidationError)
    async def validation(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return answer(
            request, ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", f"{first['loc'][-1]}: {first['msg']}.")
        )


def _methods(app: FastAPI, scope: Scope) -> set[str]:
    """Return what can be asked of the path in *scope*."""
    methods = {
        method
        for route in app.routes
        if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE
        for method in route.methods or ()
    }
    return methods | ({"HEAD"} if "GET" in methods else set())
