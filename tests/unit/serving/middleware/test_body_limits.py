"""Request bodies: size limits, JSON complexity and the memory budget."""

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from creators import KEYS, TOKEN, creator, headers
from patience import LONGEST, until
from starlette.routing import Route
from starlette.testclient import TestClient

from serving.app import build_app
from serving.feedback.service import open_feedback_service
from serving.http.json_limits import MAX_DEPTH, MAX_GAP, MAX_LITERAL_LENGTH, MAX_VALUES, check_complexity
from serving.http.problems import ProblemError
from serving.http.requests import decode_base64
from serving.middleware import body_limits as bodies
from serving.middleware.body_budget import BodyBudget
from serving.middleware.body_limits import SMALL
from serving.models.served_model import ServedModel
from serving.settings import ServingSettings

if TYPE_CHECKING:
    from conftest import ScriptedEngine

pytestmark = pytest.mark.unit

LARGEST = 1_000_000


@pytest.fixture
def client(served: ServedModel, tmp_path: Path) -> Iterator[TestClient]:
    settings = ServingSettings(
        cache_dir=tmp_path,
        voice_file=tmp_path / "voice.sqlite",
        feedback_dir=tmp_path / "feedback",
        key_file=tmp_path / "keys.sqlite",
        api_key_hashes=tuple(map(creator, KEYS)),
        metrics_token_hash=creator(TOKEN),
        max_body_bytes=LARGEST,
        body_bytes_at_once=LARGEST,
        requests_per_minute=1000,
    )
    feedback_service = open_feedback_service(settings, (tmp_path / "store").as_uri())
    with TestClient(build_app(settings, lambda: served, feedback_service=feedback_service)) as client:
        yield client


def test_each_route_takes_as_much_as_it_has_use_for(client: TestClient) -> None:
    photos = {
        "/generate-caption",
        "/generate_caption",
        "/v1/generate-caption",
        "/v1/feedback",
        "/feedback",
        "/store_feedback",
    }
    photos_seen: set[str] = set()
    for route in client.app.routes:
        assert isinstance(route, Route)
        path = route.path.replace("{identifier}", "0" * 32)
        for method in (route.methods or set()) & {"POST", "PUT", "PATCH"}:
            for size in (SMALL + 1, LARGEST + 1):
                sent = headers("ana") | {"Content-Length": str(size), "Content-Type": "application/json"}
                answer = client.request(method, path, headers=sent, content=b"{")
                too_large = size > LARGEST or path not in photos
                assert (answer.status_code == 413) == too_large, (method, path, size)
                assert not too_large or answer.json()["reason"] == "body_too_large"
                photos_seen |= {path} & photos
    assert photos_seen == photos


@pytest.mark.parametrize(
    ("path", "status"), [("/generate-caption/", 307), ("/v1/feedback/", 307), ("/caption", 404), ("/v1/captions", 404)]
)
@pytest.mark.parametrize("coding", ["identity", "br"])
def test_a_photo_on_a_wrong_path_is_not_called_too_large(
    client: TestClient, path: str, status: int, coding: str
) -> None:
    sent = headers("ana") | {"Content-Encoding": coding}
    answer = client.post(path, content=b"x" * LARGEST * 2, headers=sent, follow_redirects=False)
    assert answer.status_code == status, answer.text


def test_routes_that_read_a_body_say_that_it_may_be_too_large(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    operations = [operation for path in paths.values() for operation in path.values()]
    assert all("413" in operation["responses"] for operation in operations if "requestBody" in operation)
    assert "413" not in paths["/healthz"]["get"]["responses"]


def wide(number: int) -> bytes:
    return json.dumps({str(key): 1 for key in range(number)}).encode()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (wide(600), "values"),
        (b"[" + b"1," * MAX_VALUES + b"1]", "values"),
        (b"[" + b"[]," * MAX_VALUES + b"1]", "values"),
        (b"]" * (MAX_VALUES + 1), "values"),
        (b'""' * (MAX_VALUES + 1), "values"),
        (b"[" * (MAX_DEPTH + 1), "levels"),
        (b'{"a":' * (MAX_DEPTH + 1), "levels"),
        (b'{"seed": ' + b"9" * (MAX_LITERAL_LENGTH + 1) + b"}", "number"),
        (b'{"seed": 0.' + b"0" * MAX_LITERAL_LENGTH + b"1}", "number"),
        (b"{" + b" " * MAX_GAP, "white space"),
        (b"," * MAX_GAP, "white space"),
    ],
    ids=[
        "members",
        "numbers",
        "arrays",
        "ends",
        "strings",
        "deep",
        "deep-objects",
        "digits",
        "decimals",
        "spaces",
        "commas",
    ],
)
def test_a_json_of_too_many_things_is_refused_unparsed(client: TestClient, text: bytes, what: str) -> None:
    with pytest.raises(ProblemError, match=what):
        check_complexity(text)
    for method, path in (("PUT", "/v1/voice"), ("POST", "/generate-caption"), ("POST", "/v1/feedback")):
        answer = client.request(
            method, path, content=text[: SMALL - 1], headers=headers("ana") | {"Content-Type": "application/json"}
        )
        # A text of more than 64 KiB is cut here, and may then be invalid instead.
        reasons = {"too_complex"} if len(text) < SMALL else {"too_complex", "invalid"}
        assert answer.status_code == 422
        assert answer.json()["reason"] in reasons


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"captions": ['"[{' * 700] * 50}).encode(),
        json.dumps({"captions": ["\\" * 2000, '\\"' * 1000, "é\n" * 500]}).encode(),
        json.dumps({"image": "A" * LARGEST, "seed": 2**31 - 1}, indent=4).encode(),
        b'{"image": "' + b"\\/" * 200_000 + b'", "voice": []}',
        b"",
        b'"never ends',
        b'"ends in a backslash\\',
    ],
    ids=["brackets", "escapes", "photo", "slashes", "empty", "open", "backslash"],
)
def test_what_is_inside_of_strings_is_not_counted(text: bytes) -> None:
    check_complexity(text)


def test_a_voice_of_the_most_captions_is_taken(client: TestClient) -> None:
    voice = {"captions": [f'{number}, "so" [they] {{say}}: {"x" * 1000}' for number in range(50)]}
    assert client.put("/v1/voice", json=voice, headers=headers("ana")).json() == voice
    answer = client.put("/v1/voice", data={"captions": "x"}, headers=headers("ana"))
    assert (answer.status_code, answer.json()["reason"]) == (415, "unsupported_media_type")


def test_a_name_of_any_length_is_refused_shortly(client: TestClient) -> None:
    answer = client.post("/generate-caption", json={"a b " * 100_000: 1}, headers=headers("ana"))
    assert answer.status_code == 422
    assert len(answer.json()["detail"]) < 200


@pytest.mark.parametrize("part", ['form-data; name="image"', 'form-data; name="x"'], ids=["photos", "fields"])
def test_a_form_has_so_many_parts(client: TestClient, part: str) -> None:
    body = f"--x\r\nContent-Disposition: {part}\r\n\r\n\r\n".encode() * 101 + b"--x--\r\n"
    sent = headers("ana") | {"Content-Type": "multipart/form-data; boundary=x"}
    answer = client.post("/generate-caption", content=body, headers=sent)
    assert (answer.status_code, answer.json()["reason"]) == (400, "malformed")
    assert "more than 100 parts" in answer.json()["detail"]


def test_base64_may_be_escaped_and_broken_into_lines() -> None:
    photo = bytes(range(256)) * 3
    plain = base64.b64encode(photo).decode()
    for text in (
        plain,
        plain.rstrip("="),
        base64.urlsafe_b64encode(photo).decode(),
        base64.encodebytes(photo).decode(),
        plain.replace("+", "%2B").replace("/", "%2f").replace("=", "%3D"),
        f'data:image/jpeg;name="a,b";base64,{plain}',
    ):
        assert decode_base64(text) == photo
    for text in ("=" * 3 + "AAAA", "AAAAA", "é", "%41AAA", "data:" + ";x" * 1000 + ",AAAA", "AA=A"):
        with pytest.raises(ProblemError):
            decode_base64(text)


def test_room_is_given_in_turn() -> None:
    async def run() -> None:
        budget = BodyBudget(10, 6)
        order: list[str] = []

        async def take(name: str, creator: str | None, size: int) -> None:
            await budget.acquire(creator, size, LONGEST)
            order.append(name)

        async def settled() -> list[str]:
            for _ in range(3):
                await asyncio.sleep(0)
            return order

        waiting = [
            asyncio.create_task(take(*turn))
            for turn in (
                ("first", "ana", 4),
                ("beyond their share", "ana", 3),
                ("second", "ben", 5),
                ("no room", "cem", 2),
                ("small, but later", "dia", 1),
            )
        ]
        assert await settled() == ["first", "second"]
        budget.release("ben", 5)
        assert await settled() == ["first", "second", "no room", "small, but later"]
        budget.release("ana", 4)
        assert (await settled())[-1] == "beyond their share"
        with pytest.raises(TimeoutError):
            await budget.acquire("eve", 6, 0.01)
        # A request that gave up no longer blocks others, and a request without a creator has no share limit.
        await budget.acquire(None, 4, LONGEST)
        for name, size in (("ana", 3), ("cem", 2), ("dia", 1), (None, 4)):
            budget.release(name, size)
        await budget.acquire(None, 10, LONGEST)
        await asyncio.gather(*waiting)

    asyncio.run(run())


def test_large_bodies_wait_for_room_and_small_ones_do_not(
    client: TestClient, engine: "ScriptedEngine", photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "_BUDGET_TIMEOUT", 0.05)
    engine.go.clear()

    def ask(key: str, size: int) -> tuple[int, str]:
        answer = client.post("/generate-caption", files={"image": photo + bytes(size)}, headers=headers(key))
        return answer.status_code, answer.json().get("reason", "")

    with ThreadPoolExecutor(2) as pool:
        try:
            held = pool.submit(ask, "ana", LARGEST * 2 // 3)
            assert engine.started.wait(LONGEST)
            refused = client.post(
                "/generate-caption", files={"image": photo + bytes(LARGEST // 2)}, headers=headers("ben")
            )
            assert (refused.status_code, refused.json()["reason"]) == (503, "no_room")
            assert refused.headers["retry-after"] == "5"
            small = pool.submit(ask, "ben", 100)
            until(lambda: len(engine.tasks) == 1)
        finally:
            engine.go.set()
        assert held.result(LONGEST)[0] == small.result(LONGEST)[0] == 200
    assert ask("ben", LARGEST // 2)[0] == 200


def test_a_body_of_unknown_size_has_room_for_the_largest(
    client: TestClient, engine: "ScriptedEngine", photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "_BUDGET_TIMEOUT", 0.05)
    acquired: list[int] = []
    acquire: Callable[..., object] = BodyBudget.acquire

    async def recorded(budget: BodyBudget, creator: str | None, size: int, seconds: float) -> None:
        await acquire(budget, creator, size, seconds)  # type: ignore[misc]
        acquired.append(size)

    monkeypatch.setattr(BodyBudget, "acquire", recorded)
    body = json.dumps({"image": base64.b64encode(photo).decode()}).encode()
    sent = headers("ana") | {"Content-Type": "application/json"}
    assert client.post("/generate-caption", content=iter([body]), headers=sent).status_code == 200
    # A body gives back the room that it did not need as soon as it is read, so the next one has room.
    assert client.post("/generate-caption", content=iter([body]), headers=sent).status_code == 200
    assert acquired == [LARGEST, LARGEST]
