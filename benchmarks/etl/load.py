"""Load benchmark against ``rclone copy``: the same shards to the same servers."""

import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from benchmarks.table import TableRow, compare
from demo.stack.ports import Ports
from demo.stack.services.seaweedfs import seaweedfs
from demo.stack.stack import Stack
from etl.load import load
from snap2caption.datasets.manifest import NAME, CorpusSource, File, Manifest, Shard, SplitSummary
from tests.support import swift_server
from tests.support.faulty_proxy import FaultyProxy

Kind = Literal["s3", "swift"]

MB = 1_000_000
SHARDS, SIZE = 8, 50 * MB

_ADDRESSES = {"s3": "AWS_ENDPOINT_URL", "swift": "ST_AUTH"}


def run(folder: Path, kind: Kind, transfers: int) -> TableRow:
    """Compare in *folder*, each time into a new place; rclone does *transfers* at a time."""
    folder = folder / f"{kind}-{transfers}"
    dataset = _write_version(folder / "version")
    with _server(folder, kind) as environment:
        os.environ.update(environment)
        places = (f"bench/{number}" for number in count())

        def ours() -> None:
            load(dataset, f"{kind}://{next(places)}")

        def theirs() -> None:
            _rclone(kind, "copy", f"--transfers={transfers}", str(dataset), f"store:{next(places)}")

        what = f"load {SHARDS} shards of {SIZE // MB} MB to {'SeaweedFS' if kind == 's3' else 'Swift'}"
        row = compare(what, f"rclone copy --transfers {transfers} (no SHA-256)", ours, theirs)
        _check_again(dataset, kind)
    return row


def _check_again(dataset: Path, kind: Kind) -> None:
    """Load twice into one place. Check that the second run moves no shard, and that rclone finds no difference."""
    where = load(dataset, f"{kind}://bench/again")
    address = urlsplit(os.environ[_ADDRESSES[kind]])
    with FaultyProxy(address.port or 0) as proxy:
        os.environ[_ADDRESSES[kind]] = address._replace(netloc=proxy.address).geturl()
        load(dataset, f"{kind}://bench/again")
        os.environ[_ADDRESSES[kind]] = address.geturl()
    if moved := [request for request in proxy.requests if request[0] in {"PUT", "POST"}]:
        raise SystemExit(f"A second load into {where} moved {moved}.")
    _rclone(kind, "check", str(dataset), f"store:bench/again/{dataset.name}")


def _rclone(kind: Kind, *arguments: str) -> None:
    remote = {"TYPE": kind, "ENV_AUTH": "true"}
    if kind == "s3":
        remote |= {"PROVIDER": "SeaweedFS", "ENDPOINT": os.environ["AWS_ENDPOINT_URL"]}
    environment = {f"RCLONE_CONFIG_STORE_{name}": value for name, value in remote.items()}
    command = [str(Path(sys.executable).with_name("rclone")), "--config", os.devnull, *arguments]
    subprocess.run(command, env={**os.environ, **environment}, check=True, capture_output=True)


@contextmanager
def _server(folder: Path, kind: Kind) -> Iterator[dict[str, str]]:
    if kind == "swift":
        (folder / "swift").mkdir()
        with swift_server.run(folder / "swift") as environment:
            yield environment
        return
    service, environment, _ = seaweedfs(folder, Ports(folder / "ports.json"))
    with Stack(folder) as stack:
        stack.start([service])
        yield environment


def _write_version(parent: Path) -> Path:
    """Write a version whose shards are noise: what is in them makes no difference to a store."""
    rng = random.Random(0)
    folder = parent / "0123456789abcdef"
    folder.mkdir(parents=True)

    def write(name: str, size: int) -> File:
        data = rng.randbytes(size)
        (folder / name).write_bytes(data)
        return File(name=name, sha256=hashlib.sha256(data).hexdigest(), bytes=size)

    files = [write(f"train-{number:06d}.tar", SIZE) for number in range(SHARDS)]
    shards = tuple(Shard(**file.model_dump(), samples=2000) for file in files)
    manifest = Manifest(
        version=folder.name,
        source=CorpusSource(urls=(), sha256="0" * 64),
        settings={},
        dropped={},
        splits={"train": SplitSummary(samples=2000 * SHARDS, cities={}, shards=shards)},
        hashtags=write("hashtags.parquet", MB),
    )
    (folder / NAME).write_bytes(manifest.dump())
    return folder
