import base64
import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from openai_server import openai_server
from patience import LONGEST, until
from starlette.testclient import TestClient

from serving.app import build_app
from serving.captioning.notices import Degradation
from serving.engines.base import GenerationResult
from serving.engines.factory import RemoteLoader
from serving.engines.local.engine import LocalEngine
from serving.http.problems import ProblemError
from serving.http.requests import decode_base64
from serving.models.served_model import ServedModel
from serving.observability.metrics import UNFAMILIAR
from serving.prompting.trained import TrainedTemplate
from serving.settings import ServingSettings
from snap2caption.hashtags.table import HashtagTable
from snap2caption.registry.model_card import ModelCard
from snap2caption.registry.versions import ModelVersion
from snap2caption.settings import ROOT
from snap2caption.vlm import load

if TYPE_CHECKING:
    from conftest import ScriptedEngine

pytestmark = pytest.mark.unit


@pytest.fixture
def client(served: ServedModel, tmp_path: Path) -> Iterator[TestClient]:
    settings = ServingSettings(
        cache_dir=tmp_path, voice_file=tmp_path / "voice.sqlite", max_body_bytes=100_000, max_pixels=1_000_000
    )
    with TestClient(build_app(settings, lambda: served), raise_server_exceptions=False) as client:
        yield client


def test_multipart_and_json_answer_alike(client: TestClient, photo: bytes) -> None:
    form = client.post("/generate-caption", files={"image": photo}, data={"tone": "playful", "hashtags": "6"})
    document = {"image": base64.b64encode(photo).decode(), "tone": "playful", "hashtags": 6}
    plain = client.post("/generate_caption", json=document)
    url = client.post("/v1/generate-caption", json=document | {"image": f"data:image/jpeg;base64,{document['image']}"})
    for answer in (form, plain, url):
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert body["caption"] == "Golden hour ✨"
        assert body["hashtags"][:2] == ["#sf", "#sunset"]
        assert len(body["hashtags"]) == 6
        assert body["post"] == f"Golden hour ✨\n\n{' '.join(body['hashtags'][:5])}"
        assert body["notices"] == []
        assert body["alt_text"] == "A red bridge."
        assert body["model_version"] == "test/1"
        assert body["request_id"] == answer.headers["x-request-id"]
        assert set(body["timing"]) == {"decode", "queue", "first_token", "generate", "hashtags", "total"}
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_variants(client: TestClient, photo: bytes) -> None:
    body = client.post("/generate-caption", files={"image": photo}, data={"variants": "3"}).json()
    assert len(body["variants"]) == 3
    assert len(body["hashtags"]) == 8


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        ({"content": b"x", "headers": {"content-type": "text/plain"}}, 415, "unsupported_media_type"),
        ({"files": {"other": b"x"}}, 422, "no_image"),
        ({"data": {"tone": "playful"}, "files": {"image": ("", b"")}}, 422, "no_image"),
        ({"data": {"image": "text"}, "files": {"file": b"y"}}, 422, "image_unreadable"),
        ({"files": {"image": b"not a photo"}}, 422, "image_unreadable"),
        ({"json": {"image": "%%%"}}, 422, "bad_base64"),
        ({"json": {"image": "AAAA", "tone": "angry"}}, 422, "invalid"),
        ({"json": {"image": "AAAA", "unknown": 1}}, 422, "invalid"),
        ({"json": {"tone": "playful"}}, 422, "invalid"),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 422, "invalid"),
        (
            {"content": b"--x\r\nbroken", "headers": {"content-type": "multipart/form-data; boundary=y"}},
            400,
            "malformed",
        ),
        ({"content": b"x" * 200_000, "headers": {"content-type": "application/json"}}, 413, "body_too_large"),
    ],
)
def test_refusals_are_problem_bodies(
    client: TestClient, arguments: dict[str, object], status: int, reason: str
) -> None:
    answer = client.post("/generate-caption", **arguments)
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (answer.status_code, body["status"], body["reason"]) == (status, status, reason)
    assert body["detail"].endswith(".")


@pytest.mark.parametrize(
    "disposition",
    [
        b'form-data; name="image"',
        b"form-data; name=image; filename*=UTF-8''%E2%9C%A8.jpg",
        b'form-data; name="file"; filename="photo.jpg"',
        b'form-data; name="image"; filename=""',
    ],
)
def test_a_part_is_a_photo_by_its_fields_name(client: TestClient, photo: bytes, disposition: bytes) -> None:
    part = b"--x\r\nContent-Disposition: " + disposition + b"\r\n\r\n" + photo + b"\r\n"
    option = b'--x\r\nContent-Disposition: form-data; name="hashtags"; filename="h"\r\n\r\n3\r\n--x--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = client.post("/generate-caption", content=part + option, headers=headers)
    assert (answer.status_code, len(answer.json()["hashtags"])) == (200, 3), answer.text
    cut_off = client.post("/generate-caption", content=part, headers=headers)
    assert (cut_off.status_code, cut_off.json()["reason"]) == (400, "malformed")


@pytest.mark.parametrize(
    "wrapped",
    [
        "data:image/jpeg;base64,{}",
        "DATA:image/jpeg;BASE64,{}",
        "data:image/jpeg;name=my%20photo.jpg;base64,{}",
        'data:image/jpeg;name="a,b.jpg";charset=utf-8;base64,{}',
        "data:;base64,{}",
        "data:,{}",
        " \n{}\n",
    ],
)
def test_base64_comes_in_every_common_spelling(photo: bytes, wrapped: str) -> None:
    for data in (photo, photo + b"\xfb\xff\xfe", photo + b"\xff", photo + b"\xff\xfe"):
        standard, urls = base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()
        for encoded in (standard, urls, urls.rstrip("="), quote(standard, safe="")):
            assert decode_base64(wrapped.format(encoded)) == data


@pytest.mark.parametrize("text", ["%%%", "AAAAA", "A", "AA=A", "data:image/png;base64", "é" * 8, 'data:;name="a,AAAA'])
def test_what_is_not_base64_is_refused_by_the_fields_name(text: str) -> None:
    with pytest.raises(ProblemError, match=r"^The field images\[2\] is not base64; encode the photo's bytes\.$"):
        decode_base64(text, "images[2]")


def test_of_several_photos_the_refused_one_is_named(client: TestClient, photo: bytes) -> None:
    good, bad = base64.b64encode(photo).decode(), base64.b64encode(b"<html>").decode()
    answer = client.post("/generate-caption", json={"images": [good, bad]})
    assert answer.json()["detail"] == "Photo 2 of 2 is a web page file; send it as JPEG, PNG, WebP, GIF, HEIC or AVIF."
    assert "images[1]" in client.post("/generate-caption", json={"images": [good, "%%"]}).json()["detail"]


def test_what_can_be_got_can_be_asked_for_its_headers(client: TestClient) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/v1/voice"):
        whole, head = client.get(path), client.head(path)
        assert (head.status_code, head.content) == (whole.status_code, b"")
        assert head.headers["content-type"] == whole.headers["content-type"]
    refused = client.head("/generate-caption")
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")


def test_base64_may_be_broken_into_lines(client: TestClient, photo: bytes) -> None:
    document = {"image": base64.encodebytes(photo).decode()}
    assert client.post("/generate-caption", json=document).status_code == 200


def test_who_waited_too_long_hears_of_it_at_once(
    engine: "ScriptedEngine", served: ServedModel, tmp_path: Path, photo: bytes
) -> None:
    settings = ServingSettings(cache_dir=tmp_path, voice_file=tmp_path / "voice.sqlite", max_batch=1, queue_size=1)
    engine.go.clear()
    with TestClient(build_app(settings, lambda: served)) as client, ThreadPoolExecutor(2) as pool:
        first = pool.submit(client.post, "/generate-caption", files={"image": photo})
        assert engine.started.wait(LONGEST)
        # Set it only now, so that the first request can't be late, however busy the machine is.
        settings.deadline_seconds = 0.1
        second = pool.submit(client.post, "/generate-caption", files={"image": photo})
        # The model is still busy with the first one.
        assert (second.result(LONGEST).status_code, second.result().json()["reason"]) == (504, "deadline")
        assert not first.done()
        engine.go.set()
        assert first.result(LONGEST).status_code == 200


def test_a_full_service_refuses_before_it_reads(
    engine: "ScriptedEngine", served: ServedModel, tmp_path: Path, photo: bytes
) -> None:
    settings = ServingSettings(cache_dir=tmp_path, voice_file=tmp_path / "voice.sqlite", max_batch=1, queue_size=1)
    engine.go.clear()
    with TestClient(build_app(settings, lambda: served)) as client, ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(client.post, "/generate-caption", files={"image": photo}) for _ in range(2)]
        until(client.app.state.captioner.load.is_full, lambda: [one.result().text for one in waiting if one.done()])
        answer = client.post("/generate-caption", content=b"no photo", headers={"content-type": "text/plain"})
        assert (answer.status_code, answer.json()["reason"]) == (503, "queue_full")
        assert answer.headers["retry-after"]
        engine.go.set()
        assert [one.result(LONGEST).status_code for one in waiting] == [200, 200]


@pytest.mark.parametrize(("pace", "reason"), [(0.49, ""), (0.51, "queue_full")])
def test_nobody_is_let_in_who_would_wait_too_long(
    engine: "ScriptedEngine", served: ServedModel, tmp_path: Path, photo: bytes, pace: float, reason: str
) -> None:
    settings = ServingSettings(
        cache_dir=tmp_path, voice_file=tmp_path / "voice.sqlite", max_batch=1, deadline_seconds=LONGEST
    )
    engine.go.clear()
    with TestClient(build_app(settings, lambda: served)) as client, ThreadPoolExecutor(2) as pool:
        first = pool.submit(client.post, "/generate-caption", files={"image": photo})
        assert engine.started.wait(LONGEST)
        client.app.state.captioner._batcher._wait_estimator.seconds_per_photo = pace * LONGEST
        second = pool.submit(client.post, "/generate-caption", files={"image": photo})
        if reason:
            assert (second.result(LONGEST).status_code, second.result().json()["reason"]) == (503, reason)
            assert second.result().headers["retry-after"] == "30"
        else:
            until(lambda: client.app.state.captioner.load.in_flight == 2)
        engine.go.set()
        assert first.result(LONGEST).status_code == 200
        assert bool(reason) or second.result(LONGEST).status_code == 200


def test_probes_are_no_requests_for_captions(served: ServedModel, tmp_path: Path) -> None:
    def counted(client: TestClient) -> list[str]:
        lines = client.get("/metrics").text.splitlines()
        return [
            line for line in lines if line.startswith(("snap2caption_requests_total", "snap2caption_refusals_total"))
        ]

    with TestClient(
        build_app(ServingSettings(cache_dir=tmp_path, voice_file=tmp_path / "voice.sqlite"), lambda: None)
    ) as client:
        before = counted(client)
        assert client.get("/readyz").status_code == 503
        assert counted(client) == before


def test_json_may_begin_with_a_byte_order_mark(client: TestClient, photo: bytes) -> None:
    for method, path, body in (
        ("POST", "/generate-caption", {"image": base64.b64encode(photo).decode()}),
        ("PUT", "/v1/voice", {"captions": ["Fog ✨"]}),
    ):
        text = json.dumps(body, ensure_ascii=False).encode("utf-8-sig")
        answer = client.request(method, path, content=text, headers={"content-type": "application/json"})
        assert answer.status_code == 200, answer.text


def test_a_body_that_hides_its_length_is_cut_off(client: TestClient) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(40):
            yield b"x" * 10_000

    answer = client.post("/generate-caption", content=endless(), headers={"content-type": "application/json"})
    assert answer.status_code == 413


def test_unknown_routes_are_problems_too(client: TestClient) -> None:
    answer = client.get("/nowhere")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    wrong = client.get("/generate-caption")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")


def test_a_photo_unlike_the_training_pictures_is_told(
    client: TestClient, engine: "ScriptedEngine", photo: bytes
) -> None:
    scores = iter((None, 0.9, 1.1, 0.9, 1.1))
    write = engine.write
    engine.write = lambda task: [  # type: ignore[method-assign]
        replace(part, unfamiliarity=next(scores)) if isinstance(part, GenerationResult) else part
        for part in write(task)
    ]

    def ask(photos: int = 1) -> list[str]:
        images = [("image", ("photo.jpg", photo)) for _ in range(photos)]
        return [text for text in client.post("/generate-caption", files=images).json()["notices"] if "unlike" in text]

    before = UNFAMILIAR._value.get()
    assert [ask(), ask(), ask(), ask(photos=2)] == [
        [],
        [],
        [Degradation.UNFAMILIAR_PHOTO],
        [Degradation.UNFAMILIAR_PHOTOS],
    ]
    assert UNFAMILIAR._value.get() == before + 2


def test_limits_of_the_model_are_told_everywhere(served: ServedModel, tmp_path: Path, photo: bytes) -> None:
    models = [served, replace(served, card=ModelCard(limitations="It knows <b>scenes</b> only."))]
    with TestClient(build_app(ServingSettings(cache_dir=tmp_path), lambda: models[-1])) as client:
        answer = client.post("/generate-caption", files={"image": photo}).json()
        assert answer["notices"][0] == "It knows <b>scenes</b> only."
        assert client.get("/readyz").json()["limitations"] == "It knows <b>scenes</b> only."
        assert "<p>It knows &lt;b&gt;scenes&lt;/b&gt; only.</p>" in client.get("/docs").text
        models.pop()
        assert client.get("/readyz").json()["limitations"] is None
        assert 'role="note"' not in client.get("/docs").text


def test_health_readiness_metrics_and_docs(client: TestClient, photo: bytes) -> None:
    client.post("/generate-caption", files={"image": photo})
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json()["model_version"] == "test/1"
    metrics = client.get("/metrics").text
    assert 'snap2caption_requests_total{status="200"}' in metrics
    assert 'snap2caption_stage_seconds_count{stage="generate"}' in metrics
    assert client.get("/docs").status_code == 200
    schema = client.get("/openapi.json").json()
    body = schema["paths"]["/generate-caption"]["post"]["requestBody"]["content"]
    assert set(body) == {"multipart/form-data", "application/json"}
    assert "CaptionRequest" in schema["components"]["schemas"]
    assert "Tone" in schema["components"]["schemas"]


def test_without_a_model_requests_are_refused(tmp_path: Path, photo: bytes) -> None:
    with TestClient(
        build_app(ServingSettings(cache_dir=tmp_path, voice_file=tmp_path / "voice.sqlite"), lambda: None)
    ) as client:
        answer = client.post("/generate-caption", files={"image": photo})
        assert (answer.status_code, answer.json()["reason"]) == (503, "no_model")
        assert answer.headers["retry-after"]


def test_a_voice_that_can_not_be_read_is_told(client: TestClient, photo: bytes, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "voice.sqlite")) as connection:
        connection.execute("DROP TABLE captions")
    answer = client.post("/generate-caption", files={"image": photo})
    assert answer.status_code == 200
    assert [notice for notice in answer.json()["notices"] if "saved captions can't be read" in notice]
    assert "\nsnap2caption_voices_away_total" in client.get("/metrics").text


def test_what_the_model_can_not_read_is_refused_by_name(tmp_path: Path, photo: bytes) -> None:
    engine = LocalEngine(load("demo-base", ROOT / "models"), "demo/1", TrainedTemplate())
    model = ServedModel(
        engine, HashtagTable.from_rows([]), ModelVersion(1, "run", "base", "rev", "data", "file:///nowhere")
    )
    settings = ServingSettings(cache_dir=tmp_path, voice_file=tmp_path / "voice.sqlite", max_new_tokens=16)
    longest = "朝の光が橋をわたる。" * 140
    with TestClient(build_app(settings, lambda: model)) as client:
        again = {"image": base64.b64encode(photo).decode(), "regenerate": "caption", "earlier_caption": longest}
        for more in ({}, {"stream": True}, {"voice": [longest] * 3}):
            answer = client.post("/generate-caption", json=again | more)
            assert (answer.status_code, answer.json()["reason"]) == (422, "prompt_too_long")
            assert answer.json()["detail"].endswith("shorten earlier_caption.")
        # A voice is shortened, even one that was saved while another model was in service.
        client.put("/v1/voice", json={"captions": [longest] * 3})
        answer = client.post("/generate-caption", files={"image": photo})
        assert answer.status_code == 200
        assert [notice for notice in answer.json()["notices"] if "only the first part" in notice]
        client.put("/v1/voice", json={"captions": ["Fog, then ferry."]})
        answer = client.post("/generate-caption", files={"image": photo})
        assert not [notice for notice in answer.json()["notices"] if "only the first part" in notice]


def test_what_a_model_server_refuses_is_one_sentence(served: ServedModel, tmp_path: Path, photo: bytes) -> None:
    settings = ServingSettings(cache_dir=tmp_path, voice_file=tmp_path / "voice.sqlite", engine_key="secret")
    with openai_server("secret", "gemma3:4b") as server:
        engine = RemoteLoader(settings.model_copy(update={"engine_url": server.url})).load_untrained("gemma3:4b")
        server.refusals = [
            (429, b'{"error": {"message": "Rate limit of org-7 reached", "code": "rate_limit_exceeded"}}')
        ] * 2
        server.retry_after = 20
        with TestClient(build_app(settings, lambda: replace(served, engine=engine))) as client:
            answer = client.post("/generate-caption", files={"image": photo})
        engine.close()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "20")
    assert answer.json()["reason"] == "engine_away"
    assert answer.json()["detail"] == "The model server is busy; try again in 20 s."
