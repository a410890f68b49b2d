"""CORS: the web pages that may call the service, with refused preflights as problem bodies."""

from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from serving.http.problems import ProblemError
from serving.observability.metrics import REFUSALS


class ProblemCORS(CORSMiddleware):
    """Starlette's CORS middleware, with a problem body for refusals."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """Return the answer to a preflight request."""
        response = super().preflight_response(request_headers)
        if response.status_code < HTTPStatus.BAD_REQUEST:
            return response
        disallowed = bytes(response.body).decode().removeprefix("Disallowed CORS ")
        detail = (
            f"CORS does not allow this request (not allowed: {disallowed}); "
            "add the page's origin to SNAP2CAPTION_SERVING_CORS_ORIGINS, or use the methods and headers in /docs."
        )
        problem = ProblemError(HTTPStatus.BAD_REQUEST, "preflight", detail)
        REFUSALS.labels(problem.reason).inc()
        refused = problem.response()
        kept = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
        refused.headers.update(kept)
        return refused
