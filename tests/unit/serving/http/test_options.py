"""Caption options over HTTP, with a scripted engine."""

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from starlette.testclient import TestClient

from serving.app import build_app
from serving.models.served_model import ServedModel
from serving.settings import ServingSettings

if TYPE_CHECKING:
    from conftest import ScriptedEngine

pytestmark = pytest.mark.unit


def refuse_everything(photo: Image.Image) -> str | None:
    return f"{photo.width} pixels are too many"


def settings(folder: Path, **more: object) -> ServingSettings:
    return ServingSettings(cache_dir=folder, voice_file=folder / "voice.sqlite", **more)


@pytest.fixture
def client(served: ServedModel, tmp_path: Path) -> Iterator[TestClient]:
    with TestClient(build_app(settings(tmp_path), lambda: served), raise_server_exceptions=False) as client:
        yield client


def ask(client: TestClient, photo: bytes, photos: int = 1, **options: object) -> dict[str, object]:
    answer = client.post("/v1/generate-caption", files=[("image", photo)] * photos, data=options)
    assert answer.status_code == 200, answer.text
    body: dict[str, object] = answer.json()
    return body


def test_emoji_and_length_are_seen_to(client: TestClient, engine: "ScriptedEngine", photo: bytes) -> None:
    engine.text = "First light ✨ 🌁. And then we all walked back home through the fog, slowly, together.\n#sf"
    assert ask(client, photo, emoji="none", length="short")["caption"] == "First light."
    assert "length: short, at most 12 words" in engine.prompts[-1].casefold()
    assert "emoji: none" in engine.prompts[-1].casefold()


def test_hashtags_say_why(client: TestClient, photo: bytes) -> None:
    body = ask(client, photo, explain="true", hashtags="6")
    assert [reason["hashtag"] for reason in body["explanations"]] == body["hashtags"]
    assert body["explanations"][0]["source"] == "model"
    assert ask(client, photo)["explanations"] is None


def test_several_photos_are_one_post(client: TestClient, engine: "ScriptedEngine", photo: bytes) -> None:
    engine.texts = ["A dog\n#dog #beach", "The beach at dusk\n#beach #dusk", "The beach at dusk, quiet\n#beach #dusk"]
    body = ask(client, photo, photos=3, hashtags="3")
    assert body["caption"] == "The beach at dusk"
    assert body["hashtags"][0] == "#beach"
    assert len(body["hashtags"]) == 3
    assert len(body["alt_texts"]) == 3
    engine.texts = []
    document = {"images": [base64.b64encode(photo).decode()] * 2}
    assert len(client.post("/generate-caption", json=document).json()["alt_texts"]) == 2


def test_too_many_photos_and_both_ways_at_once_are_refused(client: TestClient, photo: bytes) -> None:
    encoded = base64.b64encode(photo).decode()
    assert client.post("/generate-caption", files=[("image", photo)] * 11).status_code == 400
    assert client.post("/generate-caption", json={"images": [encoded] * 11}).status_code == 422
    assert client.post("/generate-caption", json={"image": encoded, "images": [encoded]}).status_code == 422


def test_only_the_hashtags_again(client: TestClient, photo: bytes) -> None:
    body = ask(
        client, photo, regenerate="hashtags", earlier_caption="My own words ✨", earlier_hashtags=["#sf", "#fog"]
    )
    assert body["caption"] == "My own words ✨"
    assert not {"#sf", "#fog"} & set(body["hashtags"])
    assert len(body["hashtags"]) == 8


def test_only_the_caption_again(client: TestClient, engine: "ScriptedEngine", photo: bytes) -> None:
    earlier = {"earlier_caption": "Golden hour ✨", "earlier_hashtags": ["#sf", "Fog"]}
    engine.texts = ["Golden hour ✨\n#sun", "Another thought\n#sun"]
    body = ask(client, photo, regenerate="caption", hint="mention the fog", **earlier)
    assert (body["caption"], body["hashtags"]) == ("Another thought", ["#sf", "#fog"])
    assert "Wish: mention the fog" in engine.prompts[-1]


def test_what_is_written_again_must_be_told(client: TestClient, photo: bytes) -> None:
    answer = client.post("/generate-caption", files={"image": photo}, data={"regenerate": "caption"})
    assert (answer.status_code, answer.json()["reason"]) == (422, "invalid")


def test_what_is_not_fit_is_written_again_and_then_described(
    client: TestClient, engine: "ScriptedEngine", photo: bytes
) -> None:
    engine.texts = ["What the fuck\n#sf", "Fine light\n#sf"]
    assert ask(client, photo)["caption"] == "Fine light"
    engine.texts = ["Oh shit\n#bitch #sf"] * 4
    body = ask(client, photo)
    assert body["caption"] == "A red bridge."
    assert "#bitch" not in body["hashtags"]
    assert 'snap2caption_unsafe_total{kind="caption"}' in client.get("/metrics").text


def test_what_is_not_fit_is_not_streamed_either(client: TestClient, engine: "ScriptedEngine", photo: bytes) -> None:
    engine.texts = ["What the fuck a day\n#sf", "Fine light\n#sf"]
    with client.stream("POST", "/v1/generate-caption", files={"image": photo}, data={"stream": "true"}) as answer:
        events = "".join(answer.iter_text())
    assert "event: token" in events
    assert "fuck" not in events
    assert '"caption":"Fine light"' in events


def test_the_voice_goes_into_the_prompt(client: TestClient, engine: "ScriptedEngine", photo: bytes) -> None:
    saved = {"captions": ["Coffee first.", "Fog second."]}
    assert client.put("/v1/voice", json=saved).json() == saved
    assert client.get("/v1/voice").json() == saved
    ask(client, photo)
    assert "- Coffee first.\n- Fog second." in engine.prompts[-1]
    ask(client, photo, voice=["Only this."])
    assert "- Only this." in engine.prompts[-1]
    assert "Coffee" not in engine.prompts[-1]
    ask(client, photo, voice="")
    assert "captions of mine" not in engine.prompts[-1]
    assert client.delete("/v1/voice").status_code == 204
    assert client.get("/v1/voice").json() == {"captions": []}


def test_each_key_has_its_own_voice(served: ServedModel, tmp_path: Path) -> None:
    digests = tuple(hashlib.sha256(key.encode()).hexdigest() for key in ("aisha", "ben"))
    with TestClient(build_app(settings(tmp_path, api_key_hashes=digests), lambda: served)) as client:
        assert client.get("/v1/voice").status_code == 401
        client.put("/v1/voice", json={"captions": ["hers"]}, headers={"X-API-Key": "aisha"})
        assert client.get("/v1/voice", headers={"X-API-Key": "ben"}).json() == {"captions": []}
        assert client.get("/v1/voice", headers={"X-API-Key": "aisha"}).json() == {"captions": ["hers"]}


def test_a_lost_voice_costs_no_caption(served: ServedModel, tmp_path: Path, photo: bytes) -> None:
    given = settings(tmp_path)
    with TestClient(build_app(given, lambda: served), raise_server_exceptions=False) as client:
        for file in tmp_path.glob("voice.sqlite*"):
            file.write_bytes(b"something else" * 1000)
        assert client.post("/generate-caption", files={"image": photo}).status_code == 200
        answer = client.get("/v1/voice")
        assert (answer.status_code, answer.json()["reason"]) == (503, "away")
        assert str(tmp_path) not in answer.text


def test_photos_can_be_checked(served: ServedModel, tmp_path: Path, photo: bytes) -> None:
    # This test module stands for the operator's own.
    here = f"{__name__}:{refuse_everything.__name__}"
    with TestClient(build_app(settings(tmp_path, moderation=here), lambda: served)) as client:
        answer = client.post("/generate-caption", files={"image": photo})
        assert (answer.status_code, answer.json()["reason"]) == (422, "image_not_allowed")
        assert "64 pixels are too many" in answer.json()["detail"]


def test_what_is_not_safe_for_work_is_refused_and_counted(served: ServedModel, tmp_path: Path, photo: bytes) -> None:
    for limit, status in ((0.0, 422), (1.0, 200)):
        given = settings(tmp_path, moderation="nsfw", nsfw_max_score=limit)
        with TestClient(build_app(given, lambda: served)) as client:
            answer = client.post("/generate-caption", files={"image": photo})
            assert answer.status_code == status
            if status == 422:
                assert answer.json()["reason"] == "image_not_allowed"
                assert (
                    "is not captioned (it does not seem to be safe for work); send another" in answer.json()["detail"]
                )
                assert 'snap2caption_refusals_total{reason="image_not_allowed"} ' in client.get("/metrics").text


@pytest.mark.parametrize("language", ["German", "Deutsch", "de", "de-AT"])
def test_profanity_is_found_however_the_language_is_called(
    client: TestClient, engine: "ScriptedEngine", photo: bytes, language: str
) -> None:
    engine.texts = ["So ein Arschloch\n#sf", "Guten Morgen\n#sf"]
    assert ask(client, photo, language=language)["caption"] == "Guten Morgen"
    assert "Language: " in engine.prompts[-1]


def test_what_is_no_language_is_refused_by_name(client: TestClient, photo: bytes) -> None:
    for given in ("banana", "xx", "Germany"):
        answer = client.post("/generate-caption", files={"image": photo}, data={"language": given})
        assert (answer.status_code, answer.json()["reason"]) == (422, "invalid")
        assert answer.json()["detail"].startswith(f"language: '{given}' is not a language; use")


def test_a_language_that_nothing_is_known_of_is_told(client: TestClient, photo: bytes) -> None:
    assert "no list of profanity in Basque" in " ".join(ask(client, photo, language="eu")["notices"])
