"""A web application, served over real HTTP by a thread of the test."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from patience import until

from demo.stack.ports import HOST


@contextmanager
def listening(app: Any) -> Iterator[str]:
    """Serve an ASGI application, and yield where."""
    server = uvicorn.Server(uvicorn.Config(app, host=HOST, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://{HOST}:{port}/"
    finally:
        server.should_exit = True
        thread.join()
