"""Table of our service, vLLM and OpenVINO: ``python -m benchmarks.serving.peers [--quick] [--only NAME]``.

All serve SmolVLM-256M's shape with random weights, with an adapter where they can, on this machine's processor, one
after the other. A photo's answer is a caption and an alt text of 48 tokens each.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil

from benchmarks.serving.load import Call, LoadMeasurement, closed_calls, opened_calls
from benchmarks.serving.peers.engines import TOKENS, OpenvinoServer, OurService, PeerEngine, VllmServer
from benchmarks.serving.peers.machine import instruction_set, read_rate
from benchmarks.serving.peers.model import write_model
from benchmarks.training.photos import draw
from demo.stack.ports import HOST, Ports
from demo.stack.stack import Stack
from snap2caption.errors import UserError

SHARES = (0.5, 0.9, 0.99)
FIRST_TOKENS = 9


@dataclass(frozen=True, slots=True)
class PeerLoad:
    """Numbers of photos: by the clients that send them, each after its last answer, and by photos per hour."""

    clients: Mapping[int, int]
    hourly: Mapping[int, int]


# Ours is measured longer than the peers, so that its P99 means something.
LOADS: Mapping[type[PeerEngine], PeerLoad] = {
    OurService: PeerLoad({1: 8, 4: 16, 16: 32}, {300: 30, 1200: 160}),
    VllmServer: PeerLoad({1: 4, 4: 8, 16: 16}, {300: 12, 1200: 40}),
    OpenvinoServer: PeerLoad({1: 4, 4: 8, 16: 16}, {300: 12, 1200: 40}),
}
QUICK = PeerLoad({1: 1, 4: 4}, {3600: 2})
"""To see that everything runs."""


@dataclass(frozen=True, slots=True)
class PeerResult:
    """What was measured of one engine; seconds and bytes."""

    cold: float
    """From the start of its process to the first answer."""
    first_token: float
    closed: Mapping[int, LoadMeasurement]
    hourly: Mapping[int, LoadMeasurement]
    memory: int
    """The highest of the samples after each load. Memory that its processes share counts once."""


def measure(engine: PeerEngine, folder: Path, load: PeerLoad, photos: Sequence[bytes]) -> PeerResult:
    """Start *engine* over the model in *folder*, and measure it."""
    port = Ports(folder / "ports.json").get(engine.name)
    url = f"http://{HOST}:{port}"
    samples: list[int] = []

    def calls(count: int) -> list[Call]:
        return [engine.call(url, photos[number % len(photos)]) for number in range(count)]

    def kept(measured: LoadMeasurement) -> LoadMeasurement:
        samples.append(_memory())
        return measured

    with Stack(folder / engine.name) as stack:
        started = time.perf_counter()
        stack.start([engine.service(folder, port)])
        closed_calls(calls(1), 1)
        cold = time.perf_counter() - started
        closed_calls(calls(2), 2)  # to warm up
        early = sorted(asyncio.run(_first_token(engine, url, photo)) for photo in photos[:FIRST_TOKENS])
        by_clients = {clients: kept(closed_calls(calls(count), clients)) for clients, count in load.clients.items()}
        hourly = {rate: kept(opened_calls(calls(count), rate / 3600)) for rate, count in load.hourly.items()}
    return PeerResult(cold, early[len(early) // 2], by_clients, hourly, max(samples))


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few photos each, to see that everything runs")
    parser.add_argument("--only", help="only this one: ours, vLLM or OpenVINO")
    asked = parser.parse_args()
    engines = [kind() for kind in LOADS if asked.only is None or kind.name.startswith(asked.only)]
    loads = {engine.name: QUICK if asked.quick else LOADS[type(engine)] for engine in engines}
    photos = [sample.content for sample in draw(16, seed=3)]
    results: dict[str, PeerResult] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        step_bytes = write_model(folder)
        rate = read_rate()
        for engine in engines:
            _tell(f"{engine.name}: started")
            try:
                engine.prepare(folder)
                results[engine.name] = measure(engine, folder, loads[engine.name], photos)
            except (UserError, OSError, aiohttp.ClientError, subprocess.CalledProcessError) as error:
                _tell(f"{engine.name} failed, and is left out: {error}")
                continue
            _tell(f"{engine.name}: {results[engine.name]}")
    if not results:
        sys.exit(1)
    print(f"oneDNN's instruction set: {instruction_set()}")
    print(
        f"Floor: a step reads {step_bytes / 1e6:.0f} MB, {rate / 1e9:.1f} GB/s are read: "
        f"{1000 * step_bytes / rate:.1f} ms a step, {(TOKENS - 1) * step_bytes / rate:.2f} s for {TOKENS} tokens."
    )
    for engine in engines:
        if isinstance(engine, OurService) and engine.steps:
            print(
                f"A step of ours, alone, by its answers' own timing: {1000 * statistics.median(engine.steps):.1f} ms."
            )
    print(f"\n{table(results, loads)}")
    sys.exit(0 if len(results) == len(engines) else 1)


def table(results: Mapping[str, PeerResult], loads: Mapping[str, PeerLoad]) -> str:
    """Return the results as a Markdown table, a column for each engine."""
    shares = " / ".join(f"P{share * 100:.0f}" for share in SHARES)
    rows = {"first token": [f"{one.first_token:.2f} s" for one in results.values()]}
    for rate in sorted({rate for name in results for rate in loads[name].hourly}):
        rows[f"{shares} at {rate} per hour"] = [
            f"{_quantiles(one.hourly[rate])} s ({loads[name].hourly[rate]} photos)" for name, one in results.items()
        ]
    for clients in sorted({clients for name in results for clients in loads[name].clients}):
        rows[f"captions per second, {clients} {'client' if clients == 1 else 'clients'}"] = [
            f"{one.closed[clients].rate:.2f}" for one in results.values()
        ]
    rows["memory"] = [f"{one.memory / 1e9:.2f} GB" for one in results.values()]
    rows["cold start to the first answer"] = [f"{one.cold:.1f} s" for one in results.values()]
    lines = [f"| | {' | '.join(results)} |", f"|---|{'---|' * len(results)}"]
    return "\n".join(lines + [f"| {what} | {' | '.join(cells)} |" for what, cells in rows.items()])


def _quantiles(measured: LoadMeasurement) -> str:
    return " / ".join(f"{measured.quantile(share):.2f}" for share in SHARES)


async def _first_token(engine: PeerEngine, url: str, photo: bytes) -> float:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(600)) as session:
        return await engine.first_token(url, photo, session)


def _memory() -> int:
    """Return the memory of all processes that were started here."""
    return sum(process.memory_full_info().pss for process in psutil.Process().children(recursive=True))


def _tell(sentence: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {sentence}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
