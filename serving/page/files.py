"""Static files of the web page, served in front of authentication, rate limits and CORS."""

import os
import re
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.staticfiles import NotModifiedResponse, PathLike, StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.http.problems import ProblemError, refuse
from serving.paths import ASSETS, PAGE, PAGE_FOLDERS, route_path

DIST = Path(__file__).parent / "dist"
"""Where ``make web`` puts the built page."""

NOT_BUILT = (
    "The web page is not built; run `make web` in a checkout, install a wheel that was built after it, "
    "or serve with --no-page."
)

POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; font-src 'self'; worker-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page holds a creator's API key, so it runs only our scripts and connects to no other host. WebAssembly decodes
HEIC photos, and ``blob:`` shows photos that never left the browser."""

HEADERS = MappingProxyType(
    {
        "Content-Security-Policy": POLICY,
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    }
)
"""Security headers of the page's files, in addition to those of all responses (`serving.middleware.request_context`).
Photos are taken by a file input, which needs no camera permission."""

_YEAR = "public, max-age=31536000, immutable"
_REVALIDATE = "no-cache"

SUFFIXES = MappingProxyType({"br": ".br", "gzip": ".gz"})
"""Content codings in order of preference, and the suffix of a file that the build compressed with each."""

MEDIA_TYPES = MappingProxyType(
    {
        ".css": "text/css",
        ".html": "text/html",
        ".js": "text/javascript",
        ".md": "text/plain",
        ".png": "image/png",
        ".svg": "image/svg+xml",
        ".wasm": "application/wasm",
        ".webmanifest": "application/manifest+json",
        ".woff2": "font/woff2",
    }
)
"""Listed here, because what `mimetypes` knows depends on the machine, and browsers refuse scripts of a wrong type."""

_WEIGHT_ZERO = re.compile(r"\s*q=0(\.0*)?\s*")


class WebPage:
    """Answers GET requests for the page's files, and passes on all other requests.

    Browsers request these files without an API key, so they are open and count against no creator's rate limit. They
    get no CORS headers either: no other origin has a use for them.

    Files are looked up for each request, so a rebuilt page needs no restart.

    Args:
        app: the next ASGI application.
        folder: the built page.
    """

    def __init__(self, app: ASGIApp, folder: Path) -> None:
        self.app = app
        self._files = _BuiltFiles(directory=folder, check_dir=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if not _is_ours(scope):
            await self.app(scope, receive, send)
            return
        try:
            response = await self._respond(scope)
        except ProblemError as problem:
            await refuse(problem, scope, receive, send)
        else:
            await response(scope, receive, send)

    async def _respond(self, scope: Scope) -> Response:
        path = route_path(scope)
        if not path:
            # Without the slash, the page's relative URLs would lead out of the prefix.
            return RedirectResponse(f"{scope['root_path']}/", HTTPStatus.PERMANENT_REDIRECT)
        name = "index.html" if path == PAGE else self._files.get_path(scope)
        try:
            response = await self._files.get_response(name, scope)
        except HTTPException as error:
            if path == PAGE:
                raise ProblemError(HTTPStatus.NOT_FOUND, "page_not_built", NOT_BUILT) from error
            detail = "The page has no such file; reload the page, which may have been updated."
            raise ProblemError(HTTPStatus.NOT_FOUND, "no_such_file", detail) from error
        # Also if nothing has changed (304): the browser then takes these for the file that it has.
        response.headers.update(HEADERS)
        return response


def _is_ours(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "GET":
        return False
    path = route_path(scope)
    return path in {"", PAGE} or path.startswith(PAGE_FOLDERS)


class _BuiltFiles(StaticFiles):
    """Files as the build left them: compressed beforehand, and immutable if their names hold a hash."""

    def file_response(
        self, full_path: PathLike, stat_result: os.stat_result, scope: Scope, status_code: int = HTTPStatus.OK
    ) -> Response:
        """Return the response with a file, in the best content coding that the client accepts."""
        request_headers = Headers(scope=scope)
        accepted = _accepted_codings(request_headers.get("accept-encoding", ""))
        file = original = Path(full_path)
        headers = {"Cache-Control": _YEAR if route_path(scope).startswith(ASSETS) else _REVALIDATE}
        for coding, suffix in SUFFIXES.items():
            compressed = original.with_name(original.name + suffix)
            if compressed.exists():
                headers["Vary"] = "Accept-Encoding"
                if coding in accepted:
                    file, stat_result = compressed, compressed.stat()
                    headers["Content-Encoding"] = coding
                    break
        media_type = MEDIA_TYPES.get(original.suffix, "application/octet-stream")
        response = FileResponse(file, status_code, headers, media_type, stat_result=stat_result)
        if self.is_not_modified(response.headers, request_headers):
            return NotModifiedResponse(response.headers)
        return response


def _accepted_codings(text: str) -> set[str]:
    """Return the content codings that ``Accept-Encoding`` lists (RFC 9110, 12.5.3), except refused ones (``q=0``)."""
    entries = (entry.partition(";") for entry in text.lower().split(","))
    return {coding.strip() for coding, _, weight in entries if not _WEIGHT_ZERO.fullmatch(weight)}
