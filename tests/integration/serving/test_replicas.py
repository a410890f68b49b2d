"""Replicas behind a real proxy: what one learns, all know, and a kill of one loses nothing."""

import os
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import patience
import pytest
from creators import photo_of
from patience import until
from replicas import Replicas, replicas

from snap2caption.feedback import Feedback
from snap2caption.store import open_store

pytestmark = pytest.mark.integration

ROUNDS = int(os.environ.get("CHAOS_REPLICAS_ROUNDS", "2"))
"""Kills, of one replica after another, and each other time of the database, too."""

SENT_A_ROUND = 8


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    with replicas(tmp_path_factory.mktemp("replicas")) as running:
        yield running


def stored(fleet: Replicas) -> list[Feedback]:
    return [Feedback.model_validate_json(path.read_bytes()) for path in fleet.feedback.glob("records/**/*.json")]


def client_of_all() -> httpx.Client:
    # On loopback: to read the authorities' certificates takes longer than most of the answers.
    return httpx.Client(timeout=patience.LONGEST, verify=False)  # noqa: S501


def test_a_voice_is_the_same_on_all_of_them_at_once(fleet: Replicas) -> None:
    key, _ = fleet.new_key()
    headers = {"X-API-Key": key}
    for turn, url in enumerate(fleet.urls * 2):
        said = {"captions": [f"golden hour {turn}"]}
        assert patience.put(f"{url}/v1/voice", headers=headers, json=said).status_code == 200
        found = [patience.get(f"{other}/v1/voice", headers=headers).json() for other in [*fleet.urls, fleet.url]]
        assert found == [said] * 4


def test_a_key_is_good_and_revoked_on_all_of_them_at_once(fleet: Replicas) -> None:
    key, identifier = fleet.new_key()

    def statuses() -> list[int]:
        return [patience.get(f"{url}/v1/voice", headers={"X-API-Key": key}).status_code for url in fleet.urls]

    assert statuses() == [200] * 3
    fleet.keys.revoke(identifier)
    assert statuses() == [401] * 3
    assert patience.get(f"{fleet.urls[0]}/v1/voice").status_code == 401, "nobody gets in without a key"


def test_feedback_finds_its_request_and_an_erasure_all(fleet: Replicas) -> None:
    key, _ = fleet.new_key()
    headers = {"X-API-Key": key}
    first, second, third = fleet.urls
    files, options = {"image": photo_of("teal")}, {"keep_for_feedback": "true"}
    caption = patience.post(f"{first}/generate-caption", files=files, data=options, headers=headers).json()
    said = {"request_id": caption["request_id"], "rating": 2, "edited_caption": "my own words"}
    once = headers | {"Idempotency-Key": "once"}
    sent = [patience.post(f"{url}/v1/feedback", json=said, headers=once) for url in (second, third, fleet.url)]
    assert [answer.status_code for answer in sent] == [202] * 3
    assert len({answer.json()["id"] for answer in sent}) == 1
    assert [answer.headers.get("idempotency-replayed") for answer in sent] == [None, "true", "true"]
    mine = sent[0].json()["id"]
    until(lambda: mine in {one.id for one in stored(fleet)})
    until(lambda: patience.get(f"{first}/v1/voice", headers=headers).json()["captions"] == ["my own words"])
    assert patience.delete(f"{third}/v1/feedback", headers=headers).status_code in {200, 202}
    for url in fleet.urls:
        assert patience.get(f"{url}/v1/voice", headers=headers).json() == {"captions": []}
        again = patience.post(f"{url}/v1/feedback", json=said, headers=headers)
        assert (again.status_code, again.json()["reason"]) == (404, "unknown_request")
    until(lambda: mine not in {one.id for one in stored(fleet)})


def test_a_key_has_one_rate_over_all_of_them(fleet: Replicas) -> None:
    key, _ = fleet.new_key()
    began = time.time()

    def ask(number: int) -> int:
        return client.get(f"{fleet.urls[number % 3]}/v1/voice", headers={"X-API-Key": key}).status_code

    with client_of_all() as client, ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(ask, range(180)))
    taken = time.time() - began
    assert {*statuses} == {200, 429}
    # 120 a minute are two a second.
    assert 120 <= statuses.count(200) <= 120 + 2 * taken + 1


def send(client: httpx.Client, url: str, key: str, number: int) -> str:
    """Send a feedback until it is accepted, like a client that gets no answer."""
    deadline = time.monotonic() + patience.LONGEST
    while time.monotonic() < deadline:
        try:
            answer = client.post(
                f"{url}/v1/feedback",
                files={"image": photo_of(("red", "green", "blue")[number % 3])},
                data={"rating": "2", "caption": f"caption {number}", "edited_caption": f"mine {number}"},
                headers={"X-API-Key": key, "Idempotency-Key": str(number)},
            )
        except httpx.HTTPError:
            continue
        if answer.status_code == 202:
            return str(answer.json()["id"])
        # The proxy's own, or a replica's that is full.
        assert answer.status_code in {502, 503, 504}, answer.text
        time.sleep(0.02)
    raise AssertionError("nobody accepted it")


def test_a_killed_replica_loses_nothing_that_was_accepted(fleet: Replicas) -> None:
    generator = random.Random(19)
    accepted: dict[str, str] = {}
    creators = []
    for turn in range(ROUNDS):
        victim, (key, _) = fleet.victims[turn % 3], fleet.new_key()
        creators.append(key)
        numbers = range(turn * SENT_A_ROUND, (turn + 1) * SENT_A_ROUND)
        with client_of_all() as client, ThreadPoolExecutor(4) as pool:
            sent = {number: pool.submit(send, client, fleet.url, key, number) for number in numbers}
            time.sleep(generator.uniform(0, 0.4))
            victim.kill()
            if turn % 2:
                fleet.crash_database()
            accepted |= {future.result(): f"mine {number}" for number, future in sent.items()}
        # The others accepted the rest. What the victim had claimed is delivered once it is back.
        victim.start()
        victim.wait()
    until(lambda: accepted.keys() <= {one.id for one in stored(fleet)})
    found = {one.id: one.edited.caption for one in stored(fleet) if one.edited and one.id in accepted}
    assert found == accepted
    assert len(accepted) == ROUNDS * SENT_A_ROUND, "none was accepted as another one"
    # The voice has each once, and all can be erased by another replica than they came through.
    headers = {"X-API-Key": creators[0]}
    mine = sorted(f"mine {number}" for number in range(SENT_A_ROUND))
    until(lambda: sorted(patience.get(f"{fleet.url}/v1/voice", headers=headers).json()["captions"]) == mine)
    for key in creators:
        assert patience.delete(f"{fleet.url}/v1/feedback", headers={"X-API-Key": key}).status_code in {200, 202}
    store = open_store(fleet.feedback.as_uri())
    until(lambda: not accepted.keys() & {one.id for one in stored(fleet)})
    until(lambda: not list(store.list("photos/")))
