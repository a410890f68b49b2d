"""Server process: serves until it is stopped, or until only a restart can help."""

import logging
import socket
import threading
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from serving.settings import ServingSettings
from snap2caption.command_line.console import stderr
from snap2caption.errors import UserError
from snap2caption.http.connections import Limits, configure

logger = logging.getLogger(__name__)


class _AnnouncingServer(uvicorn.Server):
    """Uvicorn server that announces its address, and its web page if it has one, once it accepts requests."""

    def __init__(self, config: uvicorn.Config, *, has_page: bool) -> None:
        super().__init__(config)
        self._has_page = has_page

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application and listen."""
        await super().startup(sockets)
        for listener in sockets or () if self.started else ():
            logger.info("the service is up at %s", _address(listener))
            if stderr.is_terminal:
                # In a terminal, a person would overlook it among the JSON log lines.
                stderr.print(f"{self._announcement(_address(listener))}; Ctrl-C stops it.", soft_wrap=True)

    def _announcement(self, address: str) -> str:
        if self._has_page:
            return f"Open {address}/ to caption photos (the API is described at {address}/docs)"
        return f"The service is up at {address}"


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(make: Callable[[Callable[[], None]], FastAPI], listener: socket.socket, settings: ServingSettings) -> None:
    """Serve an application until it is stopped or gives up. Requests in flight are answered first.

    Args:
        make: returns the application; its argument is the function that the application calls to give up.
        listener: the socket to serve on.
        settings: limits on connections.

    Raises:
        UserError: the application gave up, or the process may not open enough files.
    """
    gave_up = threading.Event()

    def give_up() -> None:
        gave_up.set()
        server.should_exit = True

    limits = Limits(
        connections=settings.connections,
        per_peer=settings.connections_per_peer,
        head_seconds=settings.head_seconds,
        keep_alive_seconds=settings.keep_alive_seconds,
        write_seconds=settings.write_seconds,
    )
    app = make(give_up)
    config = configure(
        app, limits, log_config=None, access_log=False, timeout_graceful_shutdown=settings.shutdown_seconds
    )
    server = _AnnouncingServer(config, has_page=app.state.has_page)
    server.run(sockets=[listener])
    if gave_up.is_set():
        raise UserError("The model's worker has ended; see the log, then restart the service.")
