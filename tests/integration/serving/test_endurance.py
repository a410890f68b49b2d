"""Many photos, one server: every one answered, memory flat. `make soak` sends thousands; within `make test` a few hundred do."""

import io
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import psutil
import pytest
from PIL import Image

pytestmark = [pytest.mark.integration, pytest.mark.timeout(0)]  # `make soak` runs for as long as its requests take

REQUESTS = int(os.environ.get("SOAK_REQUESTS", "300"))
CLIENTS = 4


def photo(number: int) -> bytes:
    """A photo of its own for each request, of varying size."""
    rng = np.random.default_rng(number)
    side = int(rng.integers(100, 600))
    stream = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(stream, "JPEG")
    return stream.getvalue()


def resident(port: int) -> int:
    owners = {
        connection.pid
        for connection in psutil.net_connections("tcp")
        if connection.laddr.port == port and connection.status == "LISTEN"
    }
    return sum(psutil.Process(pid).memory_info().rss for pid in owners if pid)


def test_memory_stays_flat(url: str) -> None:
    port = int(url.rpartition(":")[2])

    def ask(number: int) -> int:
        return httpx.post(f"{url}/generate-caption", files={"image": photo(number)}, timeout=60).status_code

    def send(numbers: range, then: Callable[[], int]) -> int:
        with ThreadPoolExecutor(CLIENTS) as pool:
            assert set(pool.map(ask, numbers)) == {200}
        return then()

    # The first third warms up allocator pools and caches; what counts is whether it grows after that.
    warm = send(range(REQUESTS // 3), lambda: resident(port))
    end = send(range(REQUESTS // 3, REQUESTS), lambda: resident(port))
    print(f"{REQUESTS} requests: {warm / 2**20:.0f} MiB after a third, {end / 2**20:.0f} MiB at the end")
    assert end < 1.1 * warm
