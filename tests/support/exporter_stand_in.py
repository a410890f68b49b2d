"""A stand-in for exporters that can't be had here (StatsD's, NVIDIA's): it serves the samples that a test sets."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from server_thread import answering


class ExporterStandIn(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.samples: dict[str, float] = {}
        """Values by a series as Prometheus's text format has it: a name, perhaps with labels."""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: ExporterStandIn

    def do_GET(self) -> None:
        body = "".join(f"{series} {value}\n" for series, value in self.server.samples.copy().items()).encode()
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def exporter_stand_in() -> Iterator[ExporterStandIn]:
    with answering(ExporterStandIn()) as server:
        yield server
