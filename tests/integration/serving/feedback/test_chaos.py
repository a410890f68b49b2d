"""Exactly-once delivery while the feedback service and an S3 store are killed at random moments."""

import hashlib
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import patience
import pytest
from contents import read
from creators import headers, photo_of
from intake_process import intake
from patience import until
from victims import running

from demo.stack.ports import Ports
from demo.stack.services.seaweedfs import seaweedfs
from snap2caption.feedback import Feedback, photo_key
from snap2caption.store import open_store

pytestmark = pytest.mark.integration

ROUNDS = int(os.environ.get("CHAOS_FEEDBACK_ROUNDS", "3"))
"""Kills: of the intake, of the store, of both, in turn."""

SENT_A_ROUND = 8
COLORS = ("red", "green", "blue", "teal")


def send(url: str, number: int) -> str:
    """Send a feedback until it is accepted, like a client that gets no answer."""
    deadline = time.monotonic() + patience.LONGEST
    while time.monotonic() < deadline:
        try:
            answer = patience.post(
                f"{url}/v1/feedback",
                files={"image": photo_of(COLORS[number % len(COLORS)])},
                data={"rating": "2", "caption": f"caption {number}", "edited_caption": f"mine {number}"},
                headers=headers("ana", f"key {number}".replace(" ", "-")),
            )
        except httpx.HTTPError:
            time.sleep(0.05)
            continue
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])
    raise AssertionError("nobody accepted it")


def test_killed_at_any_moment_nothing_is_lost_or_doubled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = random.Random(7)
    service, client, _ = seaweedfs(tmp_path, Ports(tmp_path / "ports.json"))
    for name, value in client.items():
        monkeypatch.setenv(name, value)
    with (
        running(service, tmp_path) as store_server,
        running(intake(tmp_path, "s3://feedback/here", **client), tmp_path) as server,
    ):
        url = server.service.ready_url.removesuffix("/healthz")
        accepted: dict[int, str] = {}
        for turn in range(ROUNDS):
            numbers = range(turn * SENT_A_ROUND, (turn + 1) * SENT_A_ROUND)
            victims = [(server,), (store_server,), (store_server, server)][turn % 3]
            with ThreadPoolExecutor(3) as pool:
                sent = {number: pool.submit(send, url, number) for number in numbers}
                time.sleep(generator.uniform(0, 0.6))
                for victim in victims:
                    victim.kill()
                for victim in victims:
                    victim.start()
                accepted |= {number: future.result() for number, future in sent.items()}
            for victim in victims:
                victim.wait()
        store = open_store("s3://feedback/here")

        def drained() -> bool:
            lines = patience.get(f"{url}/metrics").text.splitlines()
            # Right after the start, there is no measurement yet.
            depths = [line for line in lines if line.startswith('snap2caption_feedback_spool{what="feedback"}')]
            return (
                bool(depths)
                and float(depths[0].split()[-1]) == 0
                and len(list(store.list("records/"))) >= len(accepted)
            )

        until(drained)
        found = [Feedback.model_validate_json(read(store, info.key)) for info in store.list("records/")]
        assert sorted(one.id for one in found) == sorted(accepted.values())
        assert sorted(one.edited.caption for one in found if one.edited) == sorted(f"mine {n}" for n in accepted)
        photos = {photo_key(one.photo): one.photo for one in found}
        assert sorted(info.key for info in store.list("photos/")) == sorted(photos)
        for key, digest in photos.items():
            assert hashlib.sha256(read(store, key)).hexdigest() == digest
        # All of it can be erased.
        answer = patience.delete(f"{url}/v1/feedback", headers=headers("ana"))
        until(lambda: {info.key.split("/")[0] for info in store.list()} == {"erased", "left"})
        assert answer.status_code in {200, 202}
        assert len(list(store.list("erased/"))) == len(accepted)
