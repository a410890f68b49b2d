"""Extract benchmark against a single connection.

The server limits the rate of each connection, as publishers do.
"""

import hashlib
import io
import random
import shutil
import zipfile
from pathlib import Path

import httpx

from benchmarks.etl.throttled import serve
from benchmarks.table import TableRow, compare
from etl.aria2 import CONNECTIONS
from etl.extract import extract

MB = 1024 * 1024
SIZE, RATE = 48 * MB, MB


def run(folder: Path) -> TableRow:
    """Compare in *folder*, three times each: the peer takes as long as it takes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo("data"), random.Random(0).randbytes(SIZE))
    content = packed.getvalue()
    sha256 = hashlib.sha256(content).hexdigest()
    with serve(content, RATE) as url:

        def ours() -> None:
            shutil.rmtree(folder / "ours", ignore_errors=True)
            extract([url], folder / "ours", sha256=sha256)

        def theirs() -> None:
            with httpx.stream("GET", url) as response, (folder / "peer.zip").open("wb") as out:
                for chunk in response.iter_bytes():
                    out.write(chunk)

        what = (
            f"extract {SIZE // MB} MiB, {RATE // MB} MiB/s a connection: {CONNECTIONS} connections, start-up and digest"
        )
        return compare(what, "one connection (httpx), no digest", ours, theirs, runs=3)
