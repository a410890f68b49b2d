"""Cancellation of HTTP requests that wait in other threads."""

import os
import socket
import threading
from collections.abc import Mapping
from typing import Any

import httpcore

_CONNECTED = ("connection.connect_tcp.complete", "connection.start_tls.complete")


class Cancellation:
    """Cancels requests at any time, even while a server has not answered yet. Thread-safe.

    Servers stop to generate when the connection is closed. httpx can't be told to close it while another thread waits
    for its first byte, so the sockets are shut down under it. Pass `trace` as the request's extension ``trace``, to a
    client that opens a connection for each request.
    """

    def __init__(self) -> None:
        self._canceled = threading.Event()
        self._lock = threading.Lock()
        self._streams: list[httpcore.NetworkStream] = []

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Remember the connection that a request has opened (httpcore's extension ``trace``)."""
        if event not in _CONNECTED:
            return
        with self._lock:
            self._streams.append(info["return_value"])
            if self._canceled.is_set():
                self._shut_down()

    def cancel(self) -> None:
        """End all requests, and those that begin later."""
        with self._lock:
            self._canceled.set()
            self._shut_down()

    def is_canceled(self) -> bool:
        """Whether it was canceled."""
        return self._canceled.is_set()

    def wait(self, seconds: float) -> None:
        """Wait until it is canceled, for at most so many seconds."""
        self._canceled.wait(seconds)

    def _shut_down(self) -> None:
        for stream in self._streams:
            connection = stream.get_extra_info("socket")
            try:
                # A copy: SSL sockets would take part in the shutdown, in the wrong thread.
                with socket.socket(fileno=os.dup(connection.fileno())) as copy:
                    copy.shutdown(socket.SHUT_RDWR)
            except OSError:
                # It is closed already.
                continue
        self._streams.clear()
