"""Serving benchmark: our service, a plain FastAPI endpoint and LitServe under the same load.

They run in turn, each in its own process. The machine's speed drifts, and would favor whoever came at a better time.
"""

import io
import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

from benchmarks.serving.load import LoadMeasurement, closed, first_token, opened
from benchmarks.serving.servers import PATHS
from benchmarks.table import TableRow
from demo.scenes.render import render
from demo.scenes.scene import sample_scene
from demo.stack.ports import HOST, Ports
from demo.stack.service import Service
from demo.stack.stack import Stack
from snap2caption.runtime.openmp import OPENMP

PEERS = {"endpoint": "FastAPI and generate in the endpoint", "litserve": "LitServe with batches"}

ROUNDS = 3
"""How often each server is started anew and takes the full load. The other measurements are of the first round."""

REGULAR = 300 / 3600
"""Requests per second that the service is designed for. It is also measured at 20 times this rate."""


@dataclass(frozen=True, slots=True)
class Load:
    """Load on a server: number of photos and of clients, and the number of photos at each rate (per second)."""

    photos: int
    clients: int
    rates: dict[float, int]


LOADS = {
    "demo": Load(320, 16, {REGULAR: 2, 20 * REGULAR: 30, 4.0: 30}),
    "smolvlm-256m-unsplit": Load(4, 4, {}),
    "llava-tiny": Load(8, 4, {20.0: 8}),
}


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured of one server; memory in GB."""

    closed: LoadMeasurement
    opened: dict[float, LoadMeasurement]
    first_token: float
    memory: float


def run(folder: Path, model: str) -> list[TableRow]:
    """Compare on *model*."""
    load = LOADS[model]
    photos = [_photo(number) for number in range(load.photos)]
    results = {kind: _measure(folder / kind, kind, model, load, photos) for kind in PATHS}
    rates = {kind: [result.closed.rate] for kind, result in results.items()}
    for number in range(1, ROUNDS):
        for kind in PATHS:
            rates[kind].append(_full_load(folder / f"{kind}-{number}", kind, model, load, photos))
    rows = []
    for peer, name in PEERS.items():
        ratio = median(mine / other for mine, other in zip(rates["ours"], rates[peer], strict=True))
        what = f"{model}: captions of {load.clients} clients, median of {ROUNDS}"
        rows.append(TableRow(what, name, median(rates["ours"]), median(rates[peer]), ratio, "/s"))
        rows += _rows(model, load, results["ours"], results[peer], name)
    return rows


def _measure(folder: Path, kind: str, model: str, load: Load, photos: list[bytes]) -> Result:
    with _server(folder, kind, model, photos) as (url, port):
        full = closed(url, photos, load.clients)
        rates = {rate: opened(url, photos[:count], rate) for rate, count in load.rates.items()}
        alone = photos[:1]
        # Peers answer all at once: the first token comes with the last.
        early = first_token(url, alone) if kind == "ours" else closed(url, alone, 1).quantile(0.5)
        return Result(full, rates, early, _memory(port))


def _full_load(folder: Path, kind: str, model: str, load: Load, photos: list[bytes]) -> float:
    """Return a fresh server's photos per second."""
    with _server(folder, kind, model, photos) as (url, _):
        return closed(url, photos, load.clients).rate


@contextmanager
def _server(folder: Path, kind: str, model: str, photos: list[bytes]) -> Iterator[tuple[str, int]]:
    """Start a server, warm it up with two *photos*, and yield the address that takes photos, and its port."""
    folder.mkdir()
    port = Ports(folder / "ports.json").get("serving")
    service = Service(
        name=kind,
        command=(sys.executable, "-m", "benchmarks.serving.servers", kind, model, str(port)),
        environment={**os.environ, **OPENMP},  # as our command line has it, for all
        ready_url=f"http://{HOST}:{port}/{'health' if kind == 'litserve' else 'readyz'}",
    )
    with Stack(folder) as stack:
        stack.start([service])
        url = f"http://{HOST}:{port}{PATHS[kind]}"
        closed(url, photos[:2], 2)
        yield url, port


def _memory(port: int) -> float:
    """Return the memory of the server and its workers, found by their command line. Shared memory counts once."""
    named = ["benchmarks.serving.servers", str(port)]
    started = [one for one in psutil.process_iter(["cmdline"]) if set(named) <= set(one.info["cmdline"] or [])]
    family = {process for one in started for process in (one, *one.children(recursive=True))}
    return sum(process.memory_full_info().pss for process in family) / 1e9


def _rows(model: str, load: Load, ours: Result, theirs: Result, name: str) -> list[TableRow]:
    rows = []
    pairs = [("full load", ours.closed, theirs.closed)]
    pairs += [(f"{rate * 3600:.0f} per hour", ours.opened[rate], theirs.opened[rate]) for rate in load.rates]
    for what, mine, other in pairs:
        for share in (0.5, 0.9, 0.99):
            times = mine.quantile(share), other.quantile(share)
            rows.append(TableRow(f"{model}: P{share * 100:.0f}, {what}", name, *times, times[1] / times[0]))
    early = ours.first_token, theirs.first_token
    rows.append(TableRow(f"{model}: first token, alone", name, *early, early[1] / early[0]))
    memory = ours.memory, theirs.memory
    return [*rows, TableRow(f"{model}: memory", name, *memory, memory[1] / memory[0], "GB")]


def _photo(number: int) -> bytes:
    stream = io.BytesIO()
    render(sample_scene(random.Random(number)), number).save(stream, "JPEG")
    return stream.getvalue()
