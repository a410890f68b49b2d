"""Load generator: closed loop (each client waits for its response) or open loop (a fixed arrival rate).

``python -m benchmarks.serving.load URL RATE SECONDS PHOTO…`` sends the photos repeatedly at random moments, *rate*
per second, and prints the outcome of each request as JSON. It is a separate process, so that it and the server do
not wait for each other's threads.

It uses aiohttp, because httpx needs several times the CPU time per request, and the measuring tool must not become
what is measured.
"""

import asyncio
import json
import random
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiohttp
from urllib3.filepost import encode_multipart_formdata

from snap2caption.http.retrying import retry_after

_PATIENCE = 300.0


_Form = dict[str, Any]
"""What goes into a request with a photo; encoded once, however often it is sent."""

Call = Callable[[aiohttp.ClientSession], Awaitable[None]]
"""Asks a server for the texts of a photo and waits for them; encoded before."""


@dataclass(frozen=True, slots=True)
class LoadMeasurement:
    """Latencies in seconds, in order, and photos per second from the first request to the last answer."""

    latencies: tuple[float, ...]
    rate: float

    def quantile(self, share: float) -> float:
        """Return the latency that this share of the requests did not exceed."""
        return self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))]


@dataclass(frozen=True, slots=True)
class RequestOutcome:
    """The outcome of a request: when it was sent (seconds after the first), and its status (0: no response)."""

    sent: float
    seconds: float
    status: int
    reason: str
    """Why it was refused; empty if it was not."""
    retry_after: int
    """Seconds after which to try again; 0 if it was not told."""
    queue: float
    """Seconds that an answered photo waited for its turn."""


def photo_call(url: str, photo: bytes) -> Call:
    """Return a call that sends *photo* until it is answered, as a client does that a busy server tells when to come
    again.
    """
    form = _form(photo)
    return lambda session: _ask(session, url, form)


def closed(url: str, photos: Sequence[bytes], clients: int) -> LoadMeasurement:
    """Send *photos*, by so many clients."""
    return closed_calls([photo_call(url, photo) for photo in photos], clients)


def opened(url: str, photos: Sequence[bytes], rate: float, seed: int = 0) -> LoadMeasurement:
    """Send *photos* at random moments, *rate* per second."""
    return opened_calls([photo_call(url, photo) for photo in photos], rate, seed)


def closed_calls(calls: Sequence[Call], clients: int) -> LoadMeasurement:
    """Make *calls*, by so many clients."""
    return asyncio.run(_closed(calls, clients))


def opened_calls(calls: Sequence[Call], rate: float, seed: int = 0) -> LoadMeasurement:
    """Make *calls* at random moments, *rate* per second."""
    return asyncio.run(_opened(calls, rate, seed))


def overload(url: str, photos: Sequence[bytes], rate: float, seconds: float, seed: int = 0) -> list[RequestOutcome]:
    """Send *photos* repeatedly at random moments, *rate* per second, for *seconds*. Refusals are expected."""
    return asyncio.run(_overload(url, photos, rate, seconds, seed))


def first_token(url: str, photos: Sequence[bytes]) -> float:
    """Return the median time to the first piece of a streamed caption, one request at a time."""
    return statistics.median(asyncio.run(_first_token(url, photo)) for photo in photos)


async def _closed(calls: Sequence[Call], clients: int) -> LoadMeasurement:
    left = list(calls)
    latencies: list[float] = []
    async with _session() as session:

        async def work() -> None:
            while left:
                latencies.append(await _timed(left.pop(), session))

        started = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(clients)))
    return _measured(latencies, started)


async def _opened(calls: Sequence[Call], rate: float, seed: int) -> LoadMeasurement:
    async with _session() as session:
        started = time.perf_counter()
        asking = [
            asyncio.create_task(_timed(calls[number], session)) async for number in _arrivals(len(calls), rate, seed)
        ]
        latencies = await asyncio.gather(*asking)
    return _measured(latencies, started)


async def _overload(url: str, photos: Sequence[bytes], rate: float, seconds: float, seed: int) -> list[RequestOutcome]:
    forms = [_form(photo) for photo in photos]
    async with _session() as session:
        started = time.perf_counter()

        async def ask(form: _Form) -> RequestOutcome:
            sent = time.perf_counter()
            try:
                async with session.post(url, **form) as answer:
                    body = await answer.json(content_type=None)
            except (aiohttp.ClientError, TimeoutError) as error:
                return RequestOutcome(sent - started, time.perf_counter() - sent, 0, repr(error), 0, 0.0)
            took = time.perf_counter() - sent
            waited = body["timing"]["queue"] / 1000 if answer.ok else 0.0
            again = int(answer.headers.get("retry-after", 0))
            return RequestOutcome(sent - started, took, answer.status, body.get("reason", ""), again, waited)

        asking = [
            asyncio.create_task(ask(forms[number % len(forms)]))
            async for number in _arrivals(int(rate * seconds), rate, seed)
        ]
        return list(await asyncio.gather(*asking))


def _session() -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0)
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(_PATIENCE))


def _form(photo: bytes) -> _Form:
    data, kind = encode_multipart_formdata({"image": ("photo.jpg", photo, "image/jpeg")})
    return {"data": data, "headers": {"Content-Type": kind}}


async def _arrivals(count: int, rate: float, seed: int) -> AsyncIterator[int]:
    rng = random.Random(seed)
    moment = time.perf_counter()
    for number in range(count):
        if number:
            moment += rng.expovariate(rate)
            await asyncio.sleep(max(0.0, moment - time.perf_counter()))
        yield number


async def _timed(call: Call, session: aiohttp.ClientSession) -> float:
    started = time.perf_counter()
    await call(session)
    return time.perf_counter() - started


async def _ask(session: aiohttp.ClientSession, url: str, form: _Form) -> None:
    started = time.perf_counter()
    while True:
        async with session.post(url, **form) as answer:
            again = retry_after(answer.headers)
            if answer.status not in {429, 503, 504} or again is None or time.perf_counter() - started > _PATIENCE:
                answer.raise_for_status()
                await answer.read()
                return
        await asyncio.sleep(again)


async def _first_token(url: str, photo: bytes) -> float:
    data = aiohttp.FormData({"stream": "true"})
    data.add_field("image", photo, filename="photo.jpg", content_type="image/jpeg")
    started = time.perf_counter()
    async with _session() as session, session.post(url, data=data) as answer:
        async for line in answer.content:
            if line.startswith(b"data: ") and json.loads(line.removeprefix(b"data: ")):
                return time.perf_counter() - started
    raise AssertionError("nothing was streamed")


def _measured(latencies: list[float], started: float) -> LoadMeasurement:
    return LoadMeasurement(tuple(sorted(latencies)), len(latencies) / (time.perf_counter() - started))


if __name__ == "__main__":
    url, rate, seconds, *files = sys.argv[1:]
    outcomes = overload(url, [Path(file).read_bytes() for file in files], float(rate), float(seconds))
    json.dump([asdict(outcome) for outcome in outcomes], sys.stdout)
