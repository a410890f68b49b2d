"""A store that hangs: requests that need it are refused, and all others are answered."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from itertools import islice

import httpx
import pytest
from creators import headers, photo_of
from faulty_proxy import Fault, FaultyProxy
from patience import LONGEST, until
from web_server import listening

from serving.app import build_app
from serving.feedback.routes import _STORE_THREADS
from serving.feedback.service import open_feedback_service
from serving.models.served_model import ServedModel
from serving.settings import ServingSettings

pytestmark = pytest.mark.unit

ASKED = 3 * _STORE_THREADS


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=LONGEST) as client:
        yield client


@contextmanager
def over_a_hanging_store(
    settings: ServingSettings, served: ServedModel, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, FaultyProxy]]:
    hang = Fault(when=lambda *_: True, times=1_000_000, hang=True)
    with FaultyProxy(port=9, faults=[hang]) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{proxy.address}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        with listening(
            build_app(settings, lambda: served, feedback_service=open_feedback_service(settings, "s3://feedback"))
        ) as url:
            yield url, proxy


def erase_unknown(client: httpx.Client, url: str, number: int) -> httpx.Response:
    return client.delete(f"{url}v1/feedback/{number:032x}", headers=headers("ana"))


def test_one_key_at_a_hanging_store_holds_up_no_other(
    settings: ServingSettings, served: ServedModel, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = settings.model_copy(update={"feedback_store_seconds": LONGEST, "requests_at_once": ASKED})
    with (
        over_a_hanging_store(patient, served, monkeypatch) as (url, proxy),
        ThreadPoolExecutor(ASKED) as creators,
    ):
        asking = [creators.submit(erase_unknown, client, url, number) for number in range(ASKED)]
        at_once = [found.result() for found in islice(as_completed(asking), ASKED - _STORE_THREADS)]
        assert {(one.status_code, one.json()["reason"]) for one in at_once} == {(503, "store_away")}
        assert all(one.headers["Retry-After"] for one in at_once)
        until(lambda: len(proxy.hanging) == _STORE_THREADS)
        files, options = {"image": photo_of("red")}, {"keep_for_feedback": "true"}
        answer = client.post(f"{url}generate-caption", files=files, data=options, headers=headers("ben"))
        assert answer.status_code == 200
        said = {"request_id": answer.json()["request_id"], "rating": 4}
        taken = client.post(f"{url}v1/feedback", json=said, headers=headers("ben"))
        assert taken.status_code == 202
        assert client.get(f"{url}v1/voice", headers=headers("ben")).json() == {"captions": ["Golden hour ✨"]}
        # Every thread hung all the time: no call was abandoned or repeated.
        assert len([path for _, path in proxy.hanging if "/creators/" in path]) == _STORE_THREADS
        assert sum(one.done() for one in asking) == len(at_once)
        proxy.leave()
        assert {one.result().status_code for one in asking} == {503}


def test_whoever_asks_a_hanging_store_is_told_so_soon(
    settings: ServingSettings, served: ServedModel, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurried = settings.model_copy(update={"feedback_store_seconds": 0.2})
    with over_a_hanging_store(hurried, served, monkeypatch) as (url, proxy):
        answer = erase_unknown(client, url, 1)
        assert (answer.status_code, answer.json()["reason"]) == (503, "store_away")
        # On a busy machine, the call may not have reached the store at all.
        assert len(proxy.hanging) <= 1
