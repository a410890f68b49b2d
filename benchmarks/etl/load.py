"""Load beside ``rclone copy``: the same shards to the same servers, S3 and Swift, each time to a fresh place."""

import hashlib
import itertools
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import swift_server

from benchmarks.table import Row, compare
from demo.stack.ports import HOST, Ports, is_free
from demo.stack.service import Service
from demo.stack.services.seaweedfs import seaweedfs
from demo.stack.stack import Stack
from etl.load import load
from snap2caption.manifest import NAME, File, Manifest, Shard, Source, SplitSummary

SHARDS, BYTES = 8, 50_000_000
"""As large as shards of the real corpus."""

RCLONE = Path(sys.executable).with_name("rclone")
TRANSFERS = 8


def run(folder: Path) -> list[Row]:
    """Compare on both protocols, in *folder*, and load again what is there."""
    dataset = _make(folder / "dataset")
    rows = []
    with _servers(folder / "servers") as environment:
        os.environ.update(environment)
        for protocol, remote in (("s3", _s3(environment)), ("swift", _swift(environment))):
            rows += _compare(dataset, protocol, os.environ | remote)
    return rows


def _compare(dataset: Path, protocol: str, environment: dict[str, str]) -> list[Row]:
    fresh = itertools.count()

    def ours() -> None:
        load(dataset, f"{protocol}://bench/ours-{next(fresh)}")

    def copy(*options: str) -> Callable[[], object]:
        command = [RCLONE, "copy", "--config", os.devnull, *options, dataset]
        return lambda: subprocess.run([*command, f"bench:bench/peer-{next(fresh)}"], env=environment, check=True)

    what = f"load {SHARDS * BYTES // 1_000_000} MB to {protocol}, with digests"
    load(dataset, f"{protocol}://bench/there")
    return [
        compare(what, "rclone copy", ours, copy(), runs=3),
        compare(what, f"rclone copy --transfers {TRANSFERS}", ours, copy(f"--transfers={TRANSFERS}"), runs=3),
        compare(
            f"load to {protocol} again, nothing new",
            "the first load",
            lambda: load(dataset, f"{protocol}://bench/there"),
            ours,
            runs=3,
        ),
    ]


def _make(folder: Path) -> Path:
    folder.mkdir()
    shards = []
    for number in range(SHARDS):
        data = random.Random(number).randbytes(BYTES)
        name = f"train-{number:06d}.tar"
        (folder / name).write_bytes(data)
        shards.append(Shard(name=name, sha256=hashlib.sha256(data).hexdigest(), samples=1, bytes=BYTES))
    (folder / "hashtags.parquet").write_bytes(b"none")
    manifest = Manifest(
        version="bench",
        source=Source(urls=(), sha256="0" * 64),
        settings={},
        dropped={},
        splits={"train": SplitSummary(samples=SHARDS, cities={}, shards=tuple(shards))},
        hashtags=File(name="hashtags.parquet", sha256=hashlib.sha256(b"none").hexdigest(), bytes=4),
    )
    (folder / NAME).write_bytes(manifest.dump())
    return folder


@contextmanager
def _servers(folder: Path) -> Iterator[dict[str, str]]:
    """Start both stores; the environment of their clients."""
    (folder / "swift").mkdir(parents=True)
    s3, environment, _ = seaweedfs(folder, Ports(folder / "ports.json"))
    port = next(first for first in range(23000, 30000, 4) if all(is_free(first + i) for i in range(4)))
    swift = Service(
        name="swift",
        command=(sys.executable, "-W", "ignore", swift_server.__file__, str(folder / "swift"), str(port)),
        environment={**os.environ, "PYTHONPATH": str(Path(swift_server.__file__).parent)},
        ready_url=f"http://{HOST}:{port}/healthcheck",
        grace=1.0,
    )
    with Stack(folder) as stack:
        stack.start([s3, swift])
        yield {**environment, "ST_AUTH": swift_server.auth_url(port), **swift_server.CREDENTIALS}


def _s3(environment: dict[str, str]) -> dict[str, str]:
    return {
        "RCLONE_CONFIG_BENCH_TYPE": "s3",
        "RCLONE_CONFIG_BENCH_PROVIDER": "Other",
        "RCLONE_CONFIG_BENCH_ENDPOINT": environment["AWS_ENDPOINT_URL"],
        "RCLONE_CONFIG_BENCH_ACCESS_KEY_ID": environment["AWS_ACCESS_KEY_ID"],
        "RCLONE_CONFIG_BENCH_SECRET_ACCESS_KEY": environment["AWS_SECRET_ACCESS_KEY"],
    }


def _swift(environment: dict[str, str]) -> dict[str, str]:
    return {
        "RCLONE_CONFIG_BENCH_TYPE": "swift",
        "RCLONE_CONFIG_BENCH_AUTH": environment["ST_AUTH"],
        "RCLONE_CONFIG_BENCH_USER": environment["ST_USER"],
        "RCLONE_CONFIG_BENCH_KEY": environment["ST_KEY"],
        "RCLONE_CONFIG_BENCH_AUTH_VERSION": "1",
    }
