"""Two machines that share nothing but an S3 and a Swift server make the version that one machine makes on its disk, and
one of them is killed.

`make test-two-machines` runs it, as root: the machines are network namespaces, each with a disk of its own.
"""

import hashlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, SimpleQueue

import pytest
import swift_server
from contents import files_in, read
from network_machines import STORES, NetworkMachine, machines, network
from patience import until

from demo.corpus.archive import write_corpus
from demo.stack import certificate, ports
from demo.stack.ports import Ports
from demo.stack.services import seaweedfs
from demo.stack.stack import Stack
from etl.transform import transform
from snap2caption.store import open_store

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(3600),
    pytest.mark.skipif("TEST_TWO_MACHINES" not in os.environ, reason="needs root; run `make test-two-machines`"),
]

PAIRS, SLICE_PAIRS = 2000, 200


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A real S3 and a real Swift that listen on the network of the two machines, as their clients' environment."""
    folder = tmp_path_factory.mktemp("stores")
    with pytest.MonkeyPatch.context() as patch, network():
        for module in (certificate, ports, seaweedfs):
            patch.setattr(module, "HOST", STORES)
        service, s3, _ = seaweedfs.seaweedfs(folder, Ports(folder / "ports.json"))
        with Stack(folder) as stack, swift_server.run(folder / "swift", host=STORES) as swift:
            stack.start([service])
            for name, value in (s3 | swift).items():
                patch.setenv(name, value)
            yield s3 | swift


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "corpus.zip", PAIRS, 1, traps=True)


@pytest.fixture(scope="module")
def expected(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return files_in(transform(corpus, tmp_path_factory.mktemp("one-machine")))


def check_slices(machine: NetworkMachine, work: str, numbers: "SimpleQueue[int]", done: list[int]) -> None:
    """Take a slice from the queue after another, as an executor's worker does; put back what was not finished."""
    while True:
        try:
            number = numbers.get_nowait()
        except Empty:
            return
        checked = machine.run(sys.executable, "-m", "snap2caption", "transform-slice", work, str(number))
        if checked.returncode < 0:
            numbers.put(number)
            return
        assert checked.returncode == 0, checked.stderr
        done.append(number)


@pytest.mark.parametrize(("zips", "works", "datasets"), [("swift", "s3", "swift"), ("s3", "swift", "s3")])
def test_a_killed_machine_changes_no_byte(
    zips: str, works: str, datasets: str, servers: dict[str, str], corpus: Path, expected: dict[str, bytes]
) -> None:
    data = corpus.read_bytes()
    open_store(f"{zips}://corpora").put("corpus.zip", data, sha256=hashlib.sha256(data).hexdigest())
    with machines(["one", "two"], corpus.parents[1], servers) as (one, two):
        # They see neither the disk of the stores nor each other.
        for machine in (one, two):
            assert machine.run("find", str(corpus.parents[1]), "-type", "f").stdout == ""
            assert machine.run("ip", "route").stdout.count("\n") == 1
            port = int(servers["ST_AUTH"].split(":")[2].partition("/")[0])
            assert knock(machine, STORES, port) == "answered"
            assert knock(machine, STORES, 1) == "ConnectionRefusedError"  # as a machine that can be reached does
        assert knock(one, two.address, 1) not in {"answered", "ConnectionRefusedError"}

        place = f"{works}://work-{zips}/etl"
        plan = ("transform-plan", f"{zips}://corpora/corpus.zip", f"--out={place}", f"--slice-pairs={SLICE_PAIRS}")
        work, slices = one.snap2caption(*plan).split()
        numbers: SimpleQueue[int] = SimpleQueue()
        for number in range(int(slices)):
            numbers.put(number)
        done: dict[str, list[int]] = {"one": [], "two": []}
        workers = [
            threading.Thread(target=check_slices, args=(machine, work, numbers, done[name]))
            for name, machine in (("one", one), ("two", two))
        ]
        for worker in workers:
            worker.start()
        # Killed within a slice: its processes are at work on it.
        until(lambda: done["one"] and len(one.processes()) > 2)
        one.kill()
        for worker in workers:
            worker.join()
        check_slices(two, work, numbers, done["two"])
        print(f"\nof {slices} slices, one made {done['one']} until it was killed, two made {done['two']}")
        assert sorted(done["one"] + done["two"]) == list(range(int(slices)))
        assert done["one"]

        version = two.snap2caption("transform-merge", work)
        loaded = two.snap2caption("load", version, f"{datasets}://datasets/versions")
        assert two.snap2caption("inspect", loaded, "--verify")
    for where in (version, loaded):
        store = open_store(where)
        assert {found.key: read(store, found.key) for found in store.list()} == expected
    assert [found.key for found in open_store(place).list() if found.key.startswith(".work-")] == []


def knock(machine: NetworkMachine, host: str, port: int) -> str:
    """Connect from a machine; return what comes of it."""
    program = (
        "import socket\n"
        "try:\n"
        f"    socket.create_connection(({host!r}, {port}), 3)\n"
        "    print('answered')\n"
        "except OSError as error:\n"
        "    print(type(error).__name__)\n"
    )
    return machine.run(sys.executable, "-c", program).stdout.strip()
