"""The service as a process: it serves until it is told to stop, or until only a new start can help."""

import logging
import socket
import threading
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from serving.settings import ServingSettings
from snap2caption.connections import Limits, configure
from snap2caption.console import stderr
from snap2caption.errors import UserError

logger = logging.getLogger(__name__)

_LAST_ANSWERS = 10
"""Seconds for those inside when it stops."""


class _AnnouncingServer(uvicorn.Server):
    """Says where it answers, once it does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, and listen."""
        await super().startup(sockets)
        for listener in sockets or () if self.started else ():
            logger.info("the service is up at %s", _address(listener))
            if stderr.is_terminal:
                # A person looks for it in vain among lines of JSON.
                stderr.print(f"The service is up at {_address(listener)}; Ctrl-C stops it.", soft_wrap=True)


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(make: Callable[[Callable[[], None]], FastAPI], listener: socket.socket, settings: ServingSettings) -> None:
    """Serve the application that *make* returns at *listener*, within *settings*. What it calls to give up is *make*'s argument.

    Raises:
        UserError: it gave up. Those inside are answered first. Or the process may not open enough files.
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
    config = configure(
        make(give_up), limits, log_config=None, access_log=False, timeout_graceful_shutdown=_LAST_ANSWERS
    )
    server = _AnnouncingServer(config)
    server.run(sockets=[listener])
    if gave_up.is_set():
        raise UserError("The model can't write any more, as the log says; start the service again.")
