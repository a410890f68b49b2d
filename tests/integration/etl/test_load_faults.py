"""Loading through a proxy that fails, into a real Swift and a real SeaweedFS."""

import hashlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from faulty_proxy import Fault, FaultyProxy

from etl.load import load
from snap2caption.datasets.manifest import NAME, CorpusSource, File, Manifest, Shard, SplitSummary
from snap2caption.store import StoreError, open_store, retry
from snap2caption.store.file import FileStore
from snap2caption.store.s3 import S3Store
from snap2caption.store.swift import SwiftStore

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("short_waits_and_small_pieces")]

SHARDS = 6
KILLS = 4
_ADDRESSES = {"s3": "AWS_ENDPOINT_URL", "swift": "ST_AUTH"}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version whose shards are noise; the third goes in pieces of 5 MiB."""
    folder = tmp_path_factory.mktemp("dataset")

    def write(name: str, size: int) -> tuple[str, int]:
        data = os.urandom(size)
        (folder / name).write_bytes(data)
        return hashlib.sha256(data).hexdigest(), size

    shards = []
    for number in range(SHARDS):
        name = f"train-{number:06d}.tar"
        digest, size = write(name, 12_000_000 if number == 2 else 300_000)
        shards.append(Shard(name=name, sha256=digest, samples=1, bytes=size))
    digest, size = write("hashtags.parquet", 1000)
    manifest = Manifest(
        version="0123456789abcdef",
        source=CorpusSource(urls=(), sha256="0" * 64),
        settings={},
        dropped={},
        splits={"train": SplitSummary(samples=SHARDS, cities={"chicago": SHARDS}, shards=tuple(shards))},
        hashtags=File(name="hashtags.parquet", sha256=digest, bytes=size),
    )
    (folder / NAME).write_bytes(manifest.dump())
    return folder


@pytest.fixture(params=["s3", "swift"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def proxy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, kind: str) -> Iterator[FaultyProxy]:
    """The store is reached through it."""
    environment = request.getfixturevalue(f"{kind}_environment")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    address = urlsplit(environment[_ADDRESSES[kind]])
    assert address.port is not None
    with FaultyProxy(address.port) as found:
        monkeypatch.setenv(_ADDRESSES[kind], address._replace(netloc=found.address).geturl())
        yield found


@pytest.fixture
def uri(kind: str, tmp_path: Path) -> str:
    return f"{kind}://faults-{kind}/{tmp_path.name}"


def is_upload(method: str, path: str) -> bool:
    return method == "PUT" and "train-" in path


def uploads(proxy: FaultyProxy) -> list[str]:
    """The names of the shards that were sent, once for each piece: a store that is slow is sent a piece again."""
    sent = dict.fromkeys((method, path) for method, path in proxy.requests if is_upload(method, path))
    return [path.rpartition("train-")[2][:6] for _, path in sent]


def content(where: str) -> dict[str, bytes]:
    store, found = open_store(where), {}
    for info in store.list():
        with store.get(info.key) as stream:
            found[info.key] = stream.read()
    return found


def expected(dataset: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in dataset.iterdir()}


FAULTS = {
    "cut in mid-upload": {"cut_at": 150_000},
    "cut before the first byte": {"cut_at": 0},
    "503": {"answer": "503 Service Unavailable"},
    "429 with Retry-After": {"answer": "429 Too Many Requests\r\nRetry-After: 0"},
    "a byte spoiled on the way": {"spoil": True},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_that_pass_are_ridden_out(proxy: FaultyProxy, uri: str, dataset: Path, fault: str) -> None:
    proxy.faults = [Fault(is_upload, times=5, **FAULTS[fault])]
    where = load(dataset, uri)
    assert not proxy.faults[0].times
    assert content(where) == expected(dataset)


def test_a_download_that_is_cut_goes_on_where_it_was(proxy: FaultyProxy, uri: str, dataset: Path) -> None:
    where = load(dataset, uri)
    cut = Fault(lambda method, path: method == "GET" and "train-000002" in path, times=3, cut_answer_at=3_000_000)
    proxy.faults = [cut]
    with open_store(where).get("train-000002.tar") as stream:
        assert stream.read() == expected(dataset)["train-000002.tar"]
    assert not cut.times


@pytest.fixture
def one_at_a_time_and_impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etl.load._THREADS", 1)
    monkeypatch.setattr(retry, "ATTEMPTS", 2)


@pytest.mark.usefixtures("one_at_a_time_and_impatient")
def test_a_store_that_goes_away_is_told_and_a_rerun_goes_on(
    proxy: FaultyProxy, uri: str, dataset: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    away = Fault(lambda method, path: is_upload(method, path) and "train-000004" in path, cut_at=1000, leave=True)
    proxy.faults = [away]
    with pytest.raises(StoreError, match="can't be reached"):
        load(dataset, uri)
    assert set(uploads(proxy)) == {"000000", "000001", "000002", "000003"}
    with back_again(proxy, kind, monkeypatch) as again:
        where = load(dataset, uri)
        assert uploads(again) == ["000004", "000005"]
        assert content(where) == expected(dataset)
        again.requests.clear()
        assert load(dataset, uri) == where
        assert {method for method, _ in again.requests} <= {"GET", "HEAD"}


@pytest.mark.usefixtures("one_at_a_time_and_impatient")
def test_what_a_large_upload_left_behind_is_reused_or_removed(
    proxy: FaultyProxy, uri: str, dataset: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    last_piece = {"s3": "partNumber=3", "swift": "/000002"}[kind]
    away = Fault(lambda method, path: is_upload(method, path) and last_piece in path, cut_at=1000, leave=True)
    proxy.faults = [away]
    with pytest.raises(StoreError, match="can't be reached"):
        load(dataset, uri)
    sent = uploads(proxy).count("000002")
    with back_again(proxy, kind, monkeypatch) as again:
        where = load(dataset, uri)
        assert content(where) == expected(dataset)
        if kind == "swift":
            # The pieces that are missing, and the manifest.
            assert uploads(again).count("000002") == 3 - sent + 1
        assert_nothing_else(where)


def test_a_shard_that_was_spoiled_is_replaced_alone(proxy: FaultyProxy, uri: str, dataset: Path) -> None:
    where = load(dataset, uri)
    open_store(where).put("train-000001.tar", b"other", sha256=hashlib.sha256(b"other").hexdigest())
    proxy.requests.clear()
    load(dataset, uri)
    assert uploads(proxy) == ["000001"]
    assert content(where) == expected(dataset)


def test_a_full_disk_is_one_sentence_and_a_rerun_completes(dataset: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system takes root")
    disk = tmp_path / "disk"
    disk.mkdir()
    size = sum(file.stat().st_size for file in dataset.iterdir())
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size + 1_000_000}", "none", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let us mount a file system")
    try:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(10_000_000))
        with pytest.raises(StoreError, match=r"can't be written .*No space left on device.*make room"):
            load(dataset, disk.as_uri())
        version = disk / "0123456789abcdef"
        whole = expected(dataset)
        assert all(file.read_bytes() == whole[file.name] for file in version.iterdir())
        assert not (version / NAME).exists()
        ballast.unlink()
        load(dataset, disk.as_uri())
        assert {file.name: file.read_bytes() for file in version.iterdir()} == whole
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("kind", ["file", "s3", "swift"])
def test_a_killed_load_run_again_leaves_the_version_alone(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, dataset: Path, tmp_path: Path, kind: str
) -> None:
    for name, value in (request.getfixturevalue(f"{kind}_environment") if kind != "file" else {}).items():
        monkeypatch.setenv(name, value)
    base = tmp_path.as_uri() if kind == "file" else f"{kind}://killed-{kind}"

    def run(number: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "snap2caption", "load", str(dataset), f"{base}/{number}"]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    began = time.monotonic()
    assert run(0).wait() == 0
    took = time.monotonic() - began
    rng = random.Random(kind)
    for kill in range(1, KILLS + 1):
        process = run(kill)
        time.sleep(rng.uniform(0.5, 1.0) * took)  # the moment of the kill, not a wait
        process.kill()
        process.wait()
        where = load(dataset, f"{base}/{kill}")
        assert content(where) == expected(dataset)
        assert_nothing_else(where)


def assert_nothing_else(where: str) -> None:
    store = open_store(where)
    if isinstance(store, SwiftStore):
        assert len(list(store._list(f"{store.container}_segments", store.prefix))) == 3
    elif isinstance(store, S3Store):
        assert not store._ask("list_multipart_uploads", Prefix=store.prefix).get("Uploads")
    elif isinstance(store, FileStore):
        assert {path.name for path in store.root.iterdir()} == {found.key for found in store.list()}


@contextmanager
def back_again(proxy: FaultyProxy, kind: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """Reach the same server over a new proxy."""
    with FaultyProxy(proxy.port) as found:
        name = _ADDRESSES[kind]
        monkeypatch.setenv(name, os.environ[name].replace(proxy.address, found.address))
        yield found
