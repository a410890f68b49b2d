"""API documentation page: Swagger UI from bundled files, which loads no third-party scripts and works offline."""

from collections.abc import Callable
from html import escape
from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse, HTMLResponse, Response

from serving.paths import DOCS_PAGE, START, SWAGGER

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Users type API keys into this page, so it runs only our scripts and connects to no other host."""

# URLs are relative, so that they work under any prefix that a proxy adds.
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
{note}<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""

# The style sheet centers a wrapper like the page below it.
_NOTE = """<div class="swagger-ui"><div class="wrapper" role="note"><p>{text}</p></div></div>
"""

_SCRIPT = """SwaggerUIBundle({ url: 'openapi.json', dom_id: '#swagger-ui', deepLinking: true, validatorUrl: null })
"""

_DAY = {"Cache-Control": "public, max-age=86400"}


def document(app: FastAPI, note: Callable[[], str] = lambda: "") -> None:
    """Add the documentation page and its files to *app*, whose built-in FastAPI pages are disabled.

    *note* returns what the page says above the operations, as plain text; empty: nothing.
    """
    folder = Path(str(files("fastapi_offline"))) / "static"

    @app.get(DOCS_PAGE, include_in_schema=False)
    def page() -> Response:
        text = note()
        content = _PAGE.format(title=app.title, note=_NOTE.format(text=escape(text)) if text else "")
        return HTMLResponse(content, headers={"Content-Security-Policy": _POLICY})

    @app.get(START, include_in_schema=False)
    def start() -> Response:
        return Response(_SCRIPT, media_type="text/javascript")

    for path in SWAGGER:
        file = folder / path.rpartition("/")[2]
        app.get(path, include_in_schema=False)(lambda file=file: FileResponse(file, headers=_DAY))
