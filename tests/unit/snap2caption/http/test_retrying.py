"""Retries after Retry-After, over real HTTP."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from patience import LONGEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from web_server import listening

from serving.client import Client
from snap2caption.errors import UserError
from snap2caption.http.retrying import RetryingClient

pytestmark = pytest.mark.unit


@dataclass
class Busy:
    """A server that refuses so often, as it is told, and then answers with what it was sent."""

    refusals: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: Request) -> Response:
        self.bodies.append(await request.body())
        if self.refusals:
            status, headers = self.refusals.pop(0)
            return PlainTextResponse("busy", status, headers)
        return PlainTextResponse(self.bodies[-1])


@pytest.fixture(scope="module")
def server() -> Iterator[Busy]:
    busy = Busy()
    with listening(Starlette(routes=[Route("/{path:path}", busy.answer, methods=["GET", "POST", "PUT"])])) as busy.url:
        yield busy


@pytest.fixture
def refusing(server: Busy) -> Callable[..., Busy]:
    def prepare(*refusals: tuple[int, dict[str, str]]) -> Busy:
        server.bodies.clear()
        server.refusals[:] = refusals
        return server

    return prepare


def patient(patience: float = 60.0) -> RetryingClient:
    return RetryingClient(patience=patience, timeout=LONGEST)


AT_ONCE = {"Retry-After": "0"}


def test_what_is_refused_for_now_is_sent_again_whole(refusing: Callable[..., Busy]) -> None:
    busy = refusing((429, AT_ONCE), (503, AT_ONCE), (504, AT_ONCE))
    with patient() as client:
        answer = client.post(busy.url, files={"image": b"a photo"})
    assert answer.status_code == 200
    assert b"a photo" in answer.content
    assert len(busy.bodies) == 4
    assert len(set(busy.bodies)) == 1


def test_the_wait_is_what_the_server_says(refusing: Callable[..., Busy], monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("snap2caption.http.retrying.time.sleep", waits.append)
    busy = refusing((503, {"Retry-After": "7"}), (503, {"Retry-After": "30"}))
    with patient() as client:
        assert client.get(busy.url).is_success
    assert waits == [7, 30]


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (503, {}),
        (503, {"Retry-After": "Wed, 21 Oct 2076 07:28:00 GMT"}),
        (429, {"Retry-After": "61"}),
        (500, AT_ONCE),
        (413, AT_ONCE),
    ],
)
def test_any_other_refusal_is_the_answer(refusing: Callable[..., Busy], status: int, headers: dict[str, str]) -> None:
    busy = refusing((status, headers))
    with patient() as client:
        assert client.get(busy.url).status_code == status
    assert len(busy.bodies) == 1


def test_a_server_that_is_always_busy_is_given_up(refusing: Callable[..., Busy]) -> None:
    busy = refusing(*[(503, AT_ONCE)] * 100)
    with patient(1.0) as client:
        assert client.get(busy.url).status_code == 503
    assert 1 < len(busy.bodies) < 20


def test_the_services_client_asks_again(refusing: Callable[..., Busy]) -> None:
    busy = refusing((503, AT_ONCE), (504, AT_ONCE))
    with Client(busy.url) as client:
        client.set_voice(["mine"])
    assert busy.bodies == [b'{"captions":["mine"]}'] * 3
    busy = refusing((503, {"Retry-After": "3600"}))
    with Client(busy.url) as client, pytest.raises(UserError, match="503"):
        client.set_voice(["mine"])
