"""A flood of a thousand feedbacks per second from one key is refused at once, and other creators get through.

`make flood` runs it for SECONDS=10; `make test` for less.
"""

import asyncio
import base64
import io
import json
import os
import random
import socket
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import httpx
import patience
import psutil
import pytest
from contents import read
from creators import KEYS, creator, headers
from intake_process import intake
from patience import LONGEST, until
from PIL import Image
from victims import running

from demo.stack.ports import HOST, Ports
from snap2caption.feedback import Feedback, photo_key
from snap2caption.store import ObjectStore, open_store

pytestmark = pytest.mark.integration

SECONDS = float(os.environ.get("FLOOD_SECONDS", "3"))
RATE = 1000
AT_ONCE = 32
"""The most requests in flight."""

TRIES = 20
"""How often a feedback is sent if the connection breaks."""

A_MINUTE = 60
"""The requests per minute of a key."""

MIB = 2**20


def noise() -> bytes:
    stream = io.BytesIO()
    Image.frombytes("L", (240, 240), random.Random(0).randbytes(240 * 240)).save(stream, "JPEG")
    return stream.getvalue()


BODY = json.dumps({"image": base64.b64encode(noise()).decode(), "caption": "Seen.", "edited_caption": "Mine."})
GROWTH = (16 if "FLOOD_SECONDS" in os.environ else 32) * MIB
"""Of memory from the first third of the time to the last, at most.

In seconds it is not at rest; what is sent meanwhile is several times as much.
"""

KEYED = {"api_key_hashes": json.dumps([creator(key) for key in KEYS])}


@dataclass
class Flood:
    """What became of what was sent: ids that were accepted, refusals by status and reason, and what a refusal said of
    when to try again.
    """

    sent: int = 0
    took: float = 0.0
    accepted: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    """What was accepted of the other creator's meanwhile."""
    refused: Counter[tuple[int, str]] = field(default_factory=Counter)
    waits: list[int] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)

    @property
    def growth(self) -> int:
        third = len(self.memory) // 3
        return max(self.memory[-third:]) - max(self.memory[:third])


async def flood(url: str, process: psutil.Process) -> Flood:
    """Send at a constant rate, whatever the answers are, and now and then feedback of another creator."""
    found = Flood()

    async def send(session: aiohttp.ClientSession, key: str, number: int, accepted: list[str]) -> None:
        named = headers(key, f"{key}-{number}") | {"Content-Type": "application/json"}
        # A client that is refused before it has sent the body may find the connection closed before it has the
        # answer. With the same key, a retry is the same feedback.
        for tries_left in reversed(range(TRIES)):
            try:
                async with session.post(f"{url}/v1/feedback", data=BODY, headers=named) as answer:
                    said = await answer.json(content_type=None)
                break
            except (aiohttp.ClientError, TimeoutError) as error:
                if not tries_left:
                    found.failed.append(repr(error))
                    return
        if answer.status == httpx.codes.ACCEPTED:
            accepted.append(said["id"])
            return
        found.refused[answer.status, said["reason"]] += 1
        found.waits.append(int(answer.headers.get("Retry-After", 0)))

    count, every = int(RATE * SECONDS), max(RATE // 5, 1)
    timeout = aiohttp.ClientTimeout(LONGEST)
    # On a busy machine, fewer are sent per second: this checks that the server keeps nothing of them, not how fast
    # it is.
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE), timeout=timeout) as session:
        started, sending = time.perf_counter(), []
        for number in range(count):
            await asyncio.sleep(max(0.0, started + number / RATE - time.perf_counter()))
            sending.append(asyncio.create_task(send(session, "ana", number, found.accepted)))
            if number % every == 0:
                sending.append(asyncio.create_task(send(session, "ben", number, found.others)))
                found.memory.append(process.memory_info().rss)
        await asyncio.gather(*sending)
        found.took = time.perf_counter() - started
    found.memory.append(process.memory_info().rss)
    found.sent = count
    return found


@contextmanager
def served(folder: Path, feedback_uri: str, **settings: str) -> Iterator[tuple[str, psutil.Process]]:
    with running(intake(folder, feedback_uri, **settings), folder) as server:
        url = server.service.ready_url.removesuffix("/healthz")
        yield url, psutil.Process(server.pid)


def told(flooded: Flood) -> str:
    return (
        f"{flooded.sent} in {flooded.took:.1f} s: {len(flooded.accepted)} accepted, refused {dict(flooded.refused)}, "
        f"{len(flooded.others)} of another creator's accepted, memory {flooded.memory[0] / MIB:.0f} MiB, at most {max(flooded.memory) / MIB:.0f}, "
        f"{flooded.growth / MIB:+.1f} from the first third to the last"
    )


def check_whole(store: ObjectStore, expected: list[str], spool: Path, tree: Path | None = None) -> None:
    """Make sure that just these are stored, each with its photo, and that nothing is half-written."""
    until(lambda: len(list(store.list("records/"))) >= len(expected))
    found = [Feedback.model_validate_json(read(store, info.key)) for info in store.list("records/")]
    assert sorted(one.id for one in found) == sorted(expected)
    assert all(store.exists(photo_key(one.photo), one.photo) for one in found)
    with closing(sqlite3.connect(spool)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert tree is None or not list(tree.rglob(".put-*"))


def test_one_key_that_floods_is_refused_and_others_get_through(tmp_path: Path) -> None:
    tree = tmp_path / "store"
    with served(tmp_path, tree.as_uri(), requests_per_minute=str(A_MINUTE), **KEYED) as (url, process):
        # Memory for what is loaded at first use does not count as growth.
        first = send_one(url, "ben")
        flooded = asyncio.run(flood(url, process))
        print(f"\n{told(flooded)}")
        assert flooded.failed == []
        assert {status for status, _ in flooded.refused} == {httpx.codes.TOO_MANY_REQUESTS}
        # A sliding window admits those of the next minute gradually.
        most = A_MINUTE * (1 + flooded.took / 60) + 1
        assert 1 <= len(flooded.accepted) <= most
        assert len(flooded.accepted) + flooded.refused.total() == flooded.sent
        assert flooded.waits
        assert all(1 <= wait <= 60 for wait in flooded.waits)
        assert len(flooded.others) == len(range(0, flooded.sent, RATE // 5))
        assert flooded.growth < GROWTH
        spool = tmp_path / "state" / "serving" / "feedback" / "feedback.sqlite"
        check_whole(open_store(tree.as_uri()), [first, *flooded.accepted, *flooded.others], spool, tree)


def send_one(url: str, key: str) -> str:
    answer = patience.post(
        f"{url}/v1/feedback", content=BODY, headers=headers(key) | {"Content-Type": "application/json"}
    )
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text
    return str(answer.json()["id"])


def test_a_key_beyond_its_rate_is_refused_before_its_body(tmp_path: Path) -> None:
    with served(tmp_path, (tmp_path / "store").as_uri(), requests_per_minute="1", **KEYED) as (url, _):

        def refused() -> bool:
            # On a busy machine, a minute may pass between the two requests.
            named = headers("ana") | {"Content-Type": "application/json"}
            httpx.post(f"{url}/v1/feedback", content=BODY, headers=named, timeout=LONGEST)
            return refused_without_the_body(url)

        until(refused)


def refused_without_the_body(url: str) -> bool:
    """Whether a key beyond its rate is answered before anything of its photo has come."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=LONGEST) as connection:
        connection.sendall(
            b"POST /v1/feedback HTTP/1.1\r\nHost: x\r\nX-API-Key: ana\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
        )
        return connection.recv(100).startswith(b"HTTP/1.1 429 ")


def test_what_waits_for_a_store_is_bounded_and_stored_once(tmp_path: Path) -> None:
    away = {
        "AWS_ENDPOINT_URL": f"http://{HOST}:{Ports(tmp_path / 'ports.json').get('nobody')}",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
    }
    spool = tmp_path / "state" / "serving" / "feedback"
    most = {"feedback_spool_bytes": str(MIB), "requests_per_minute": "1000000", **KEYED}
    with served(tmp_path, "s3://feedback/here", **most, **away) as (url, process):
        first = send_one(url, "ben")
        flooded = asyncio.run(flood(url, process))
        print(f"\n{told(flooded)}")
        assert flooded.failed == []
        assert flooded.refused[503, "spool_full"]
        assert flooded.refused.keys() <= {(429, "too_many_at_once"), (503, "spool_full"), (503, "busy")}
        assert all(wait >= 1 for wait in flooded.waits)
        assert flooded.growth < GROWTH
        # The outbox and the ids, and as much again in the write-ahead log until it is truncated.
        assert sum(file.stat().st_size for file in spool.iterdir()) < 16 * MIB
    tree = tmp_path / "store"
    with served(tmp_path, tree.as_uri(), **most):
        expected = [first, *flooded.accepted, *flooded.others]
        check_whole(open_store(tree.as_uri()), expected, spool / "feedback.sqlite", tree)
