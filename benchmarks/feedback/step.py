"""Measured command: runs `snap2caption` with the given arguments, and writes its time, memory and requests.

Usage: ``python -m benchmarks.feedback.step OUT ARGUMENT…``.
"""

import json
import re
import resource
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

from snap2caption.__main__ import build_app
from snap2caption.store.s3 import S3Store

_KINDS = {"list_objects_v2": "list", "get_object": "read", "put_object": "put"}


def main(out: Path, arguments: list[str]) -> None:
    """Run the command, and write the measurements to *out* as JSON."""
    requests: Counter[str] = Counter()
    ask, send = S3Store._ask, httpx.Client.send

    def counted_ask(self: S3Store, operation: str, *given: Any, **named: Any) -> Any:
        requests[_KINDS.get(operation, "other")] += 1
        return ask(self, operation, *given, **named)

    def counted_send(self: httpx.Client, *given: Any, **named: Any) -> httpx.Response:
        requests["Label Studio"] += 1
        return send(self, *given, **named)

    S3Store._ask, httpx.Client.send = counted_ask, counted_send  # type: ignore[method-assign]
    began = time.perf_counter()
    build_app()(arguments, standalone_mode=False)
    seconds = time.perf_counter() - began
    peak = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    kibibytes = max(int(peak[1]) if peak else 0, workers)
    out.write_text(json.dumps({"seconds": seconds, "mebibytes": kibibytes / 1024, "requests": requests}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
