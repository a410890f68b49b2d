"""Throttled web server: it serves one file, in ranges, at a limited rate per connection (bytes per second)."""

import http.server
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_STEPS = 20
"""Number of pieces per second of traffic."""


class _ThrottledServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # With the default of 5, some of 16 simultaneous connections are accepted a second late.


@contextmanager
def serve(content: bytes, rate: int) -> Iterator[str]:
    """Serve *content* on loopback; yields its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            first = int(wanted[1]) if wanted else 0
            end = int(wanted[2]) + 1 if wanted and wanted[2] else len(content)
            self.send_response(206 if wanted else 200)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(end - first))
            if wanted:
                self.send_header("Content-Range", f"bytes {first}-{end - 1}/{len(content)}")
            self.end_headers()
            try:
                self._send(content[first:end])
            except OSError:
                self.close_connection = True  # The client closed the connection: another one fetches the rest.

        def _send(self, data: bytes) -> None:
            step = rate // _STEPS
            began = time.perf_counter()
            for start in range(0, len(data), step):
                self.wfile.write(data[start : start + step])
                # Deadlines are absolute, so that a late piece does not lower the rate of its connection.
                time.sleep(max(0.0, began + (start + step) / rate - time.perf_counter()))

        def log_message(self, *_: object) -> None:
            pass

    with _ThrottledServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/corpus.zip"
        finally:
            server.shutdown()
            thread.join()
