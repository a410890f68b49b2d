"""The service as a process: it serves until it is told to stop, or until only a new start can help."""

import socket
import threading
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from snap2caption.errors import UserError

_LAST_ANSWERS = 10
"""Seconds for those inside when it stops."""


def run(make: Callable[[Callable[[], None]], FastAPI], listener: socket.socket) -> None:
    """Serve the application that *make* returns at *listener*. What it calls to give up is *make*'s argument.

    Raises:
        UserError: it gave up. Those inside are answered first.
    """
    gave_up = threading.Event()

    def give_up() -> None:
        gave_up.set()
        server.should_exit = True

    config = uvicorn.Config(
        make(give_up), log_config=None, access_log=False, ws="none", timeout_graceful_shutdown=_LAST_ANSWERS
    )
    server = uvicorn.Server(config)
    server.run(sockets=[listener])
    if gave_up.is_set():
        raise UserError("The model can't write any more, as the log says; start the service again.")
