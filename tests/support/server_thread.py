"""A server of the standard library that answers in a thread of its own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import BaseServer
from typing import TypeVar

_Server = TypeVar("_Server", bound=BaseServer)

_POLL = 0.05
"""Seconds until a server notices that it shall stop; without it, each test waits for half a second."""


@contextmanager
def answering(server: _Server) -> Iterator[_Server]:
    """Have *server* answer requests until the end, and close it then, whatever happens."""
    thread = threading.Thread(target=server.serve_forever, args=(_POLL,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
