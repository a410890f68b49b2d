"""The API's documentation as a page: Swagger UI from files of our own, which runs nobody else's scripts and works offline."""

from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse, HTMLResponse, Response

from serving.paths import DOCS_PAGE, START, SWAGGER

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Keys are typed into this page: it runs no script but ours, and tells no other host."""

# Addresses are relative, so that they hold under whatever prefix a proxy puts before them.
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
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""

_SCRIPT = """SwaggerUIBundle({ url: 'openapi.json', dom_id: '#swagger-ui', deepLinking: true, validatorUrl: null })
"""

_DAY = {"Cache-Control": "public, max-age=86400"}


def document(app: FastAPI) -> None:
    """Add the page and its files to *app*, which has none of FastAPI's."""
    folder = Path(str(files("fastapi_offline"))) / "static"

    @app.get(DOCS_PAGE, include_in_schema=False)
    def page() -> Response:
        return HTMLResponse(_PAGE.format(title=app.title), headers={"Content-Security-Policy": _POLICY})

    @app.get(START, include_in_schema=False)
    def start() -> Response:
        return Response(_SCRIPT, media_type="text/javascript")

    for path in SWAGGER:
        file = folder / path.rpartition("/")[2]
        app.get(path, include_in_schema=False)(lambda file=file: FileResponse(file, headers=_DAY))
