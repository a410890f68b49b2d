"""File server that stands in for the corpus's publisher. It serves ranges, so that aria2 downloads as in production."""

import os
import sys
from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from demo.stack.ports import HOST, Ports
from demo.stack.service import Service

_FOLDER = "SNAP2CAPTION_DEMO_FILES"


def files(folder: Path, ports: Ports) -> tuple[Service, str]:
    """Return how to serve the files under *folder*, and their address."""
    folder.mkdir(parents=True, exist_ok=True)
    port = ports.get("files")
    service = Service(
        name="files",
        command=(sys.executable, "-m", "uvicorn", "--factory", f"{__name__}:app", "--host", HOST, "--port", str(port)),
        environment={**os.environ, _FOLDER: str(folder)},
        ready_url=f"http://{HOST}:{port}/",
        # It lists no folders, so it answers 404 once it is ready.
        ready_below=500,
        grace=2.0,
    )
    return service, f"http://{HOST}:{port}"


def app() -> Starlette:
    """Return the web application, in the server's process."""
    return Starlette(routes=[Mount("/", StaticFiles(directory=os.environ[_FOLDER]))])
