"""Load on a server: clients that ask again as soon as they are answered (closed), or arrivals at a rate whatever the answers (open)."""

import asyncio
import json
import random
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import httpx

_PATIENCE = 300.0


@dataclass(frozen=True, slots=True)
class Measured:
    """Latencies in seconds, in order, and photos a second from the first request to the last answer."""

    latencies: tuple[float, ...]
    rate: float

    def quantile(self, share: float) -> float:
        """Return the latency that this share of the requests did not exceed."""
        return self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))]


def closed(url: str, photos: Sequence[bytes], clients: int) -> Measured:
    """Send *photos*, by so many clients."""
    return asyncio.run(_closed(url, photos, clients))


def opened(url: str, photos: Sequence[bytes], rate: float, seed: int = 0) -> Measured:
    """Send *photos* at random moments, *rate* a second."""
    return asyncio.run(_opened(url, photos, rate, seed))


def first_token(url: str, photos: Sequence[bytes]) -> float:
    """Return the median time to the first piece of a streamed caption, one request at a time."""
    return statistics.median(asyncio.run(_first_token(url, photo)) for photo in photos)


async def _closed(url: str, photos: Sequence[bytes], clients: int) -> Measured:
    left = list(photos)
    latencies: list[float] = []
    async with httpx.AsyncClient(timeout=_PATIENCE) as client:

        async def work() -> None:
            while left:
                latencies.append(await _ask(client, url, left.pop()))

        started = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(clients)))
    return _measured(latencies, started)


async def _opened(url: str, photos: Sequence[bytes], rate: float, seed: int) -> Measured:
    async with httpx.AsyncClient(timeout=_PATIENCE, limits=httpx.Limits(max_connections=None)) as client:
        started = time.perf_counter()
        asking = [
            asyncio.create_task(_ask(client, url, photos[number]))
            async for number in _arrivals(len(photos), rate, seed)
        ]
        latencies = await asyncio.gather(*asking)
    return _measured(latencies, started)


async def _arrivals(count: int, rate: float, seed: int) -> AsyncIterator[int]:
    rng = random.Random(seed)
    moment = time.perf_counter()
    for number in range(count):
        if number:
            moment += rng.expovariate(rate)
            await asyncio.sleep(max(0.0, moment - time.perf_counter()))
        yield number


async def _ask(client: httpx.AsyncClient, url: str, photo: bytes) -> float:
    started = time.perf_counter()
    answer = await client.post(url, files={"image": ("photo.jpg", photo, "image/jpeg")})
    answer.raise_for_status()
    return time.perf_counter() - started


async def _first_token(url: str, photo: bytes) -> float:
    started = time.perf_counter()
    async with (
        httpx.AsyncClient(timeout=_PATIENCE) as client,
        client.stream("POST", url, files={"image": photo}, data={"stream": "true"}) as answer,
    ):
        async for line in answer.aiter_lines():
            if line.startswith("data: ") and json.loads(line.removeprefix("data: ")):
                return time.perf_counter() - started
    raise AssertionError("nothing was streamed")


def _measured(latencies: list[float], started: float) -> Measured:
    return Measured(tuple(sorted(latencies)), len(latencies) / (time.perf_counter() - started))
