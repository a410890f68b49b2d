"""Refusals as RFC 9457 problem bodies."""

from http import HTTPStatus

from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from serving.metrics import REFUSALS

MEDIA_TYPE = "application/problem+json"


class ProblemBody(BaseModel):
    """The body of every answer that is not a caption."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    reason: str
    """A word for programs, such as ``queue_full``."""


class ProblemError(Exception):
    """A request is refused: *detail* is one sentence that says what to do."""

    def __init__(self, status: HTTPStatus, reason: str, detail: str, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after

    def body(self) -> ProblemBody:
        """Return the body alone."""
        return ProblemBody(title=self.status.phrase, status=self.status, detail=str(self), reason=self.reason)

    def response(self) -> JSONResponse:
        """Return the answer."""
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return JSONResponse(self.body().model_dump(), status_code=self.status, headers=headers, media_type=MEDIA_TYPE)


def broken(request_id: str) -> ProblemError:
    """Return the refusal of a request that met a fault of ours."""
    detail = f"Something broke; report request {request_id}."
    return ProblemError(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", detail)


async def refuse(problem: ProblemError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with *problem* from where no handler of exceptions stands: before the routes."""
    REFUSALS.labels(problem.reason).inc()
    await problem.response()(scope, receive, send)
