"""CORS: which web pages may call the service, with refused preflights as problem bodies."""

from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from serving.http.problems import ProblemError
from serving.observability.metrics import REFUSALS


class ProblemCORS(CORSMiddleware):
    """Starlette's middleware, but for the body of a refusal."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """Return what a browser is told before it sends what a page asks for."""
        response = super().preflight_response(request_headers)
        if response.status_code < HTTPStatus.BAD_REQUEST:
            return response
        what = bytes(response.body).decode().removeprefix("Disallowed CORS ")
        detail = f"Pages may not ask so (not allowed: {what}); add the page's origin to SNAP2CAPTION_SERVING_CORS_ORIGINS, or ask as /docs says."
        problem = ProblemError(HTTPStatus.BAD_REQUEST, "preflight", detail)
        REFUSALS.labels(problem.reason).inc()
        refused = problem.response()
        kept = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
        refused.headers.update(kept)
        return refused
