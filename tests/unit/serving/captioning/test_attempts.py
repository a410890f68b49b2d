import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

from serving.app import build_app
from serving.engines.base import GenerationRequest
from serving.engines.server_errors import EngineUnavailableError
from serving.engines.token_budget import PromptTooLongError
from serving.models.served_model import ServedModel
from serving.settings import ServingSettings
from snap2caption.hashtags.table import HashtagTable

if TYPE_CHECKING:
    from conftest import ScriptedEngine

GERMAN = "Die schönste Aussicht kommt nach dem Aufstieg.\n#berge"
ENGLISH = "The best views come after the hardest climb.\n#mountains"


@pytest.fixture
def client(served: ServedModel, tmp_path: Path) -> Iterator[TestClient]:
    untrained = replace(served, version=None, hashtags=HashtagTable.from_rows([]))
    settings = ServingSettings(cache_dir=tmp_path, voice_file=tmp_path / "voice.sqlite")
    with TestClient(build_app(settings, lambda: untrained)) as client:
        yield client


def ask(client: TestClient, photo: bytes, **options: object) -> dict[str, Any]:
    answer = client.post("/generate-caption", files={"image": photo}, data=options)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_caption_in_another_language_is_asked_for_once_more(
    client: TestClient, engine: "ScriptedEngine", photo: bytes
) -> None:
    engine.texts = [ENGLISH, GERMAN]
    answer = ask(client, photo, language="German")
    assert answer["caption"] == "Die schönste Aussicht kommt nach dem Aufstieg."
    assert answer["hashtags"] == ["#berge"]
    assert [request.corrections for request in engine.requests] == [(), ("Write the whole caption in German.",)]
    assert not [notice for notice in answer["notices"] if "seems not to be" in notice]
    told = "hashtags: without a corpus, they come only from the model and the place."
    assert sum("hashtags" in notice for notice in answer["notices"]) == 1
    assert any(notice.endswith(told) for notice in answer["notices"])


def test_what_still_does_not_comply_is_in_the_notices(
    client: TestClient, engine: "ScriptedEngine", photo: bytes
) -> None:
    engine.text = ENGLISH
    answer = ask(client, photo, language="German", emoji="some")
    assert len(engine.requests) == 2
    assert engine.requests[1].corrections == ("Write the whole caption in German.", "Use emoji in the caption.")
    assert [notice for notice in answer["notices"] if notice.startswith("The caption ")] == [
        "The caption seems not to be in German, although the model was asked for it.",
        "The caption has no emoji, although the model was asked for some.",
    ]


def test_the_better_attempt_is_answered(client: TestClient, engine: "ScriptedEngine", photo: bytes) -> None:
    # The first one lacks the emoji only, both captions of the second one lack the language as well.
    engine.texts = [GERMAN, ENGLISH, ENGLISH]
    answer = ask(client, photo, language="de", emoji="some")
    assert answer["caption"].startswith("Die schönste")
    assert sum(notice.startswith("The caption ") for notice in answer["notices"]) == 1


def test_variants_are_replaced_one_by_one(client: TestClient, engine: "ScriptedEngine", photo: bytes) -> None:
    engine.texts = [ENGLISH, GERMAN, ENGLISH, "Nur der Berg und das Meer und ich."]
    answer = ask(client, photo, language="de", variants="2")
    assert [variant["caption"] for variant in answer["variants"]] == [
        "Die schönste Aussicht kommt nach dem Aufstieg.",
        "Nur der Berg und das Meer und ich.",
    ]


def test_a_refusal_is_asked_for_once_more(client: TestClient, engine: "ScriptedEngine", photo: bytes) -> None:
    engine.texts = ["", GERMAN]
    answer = ask(client, photo, language="de")
    assert answer["caption"] == "Die schönste Aussicht kommt nach dem Aufstieg."
    assert len(engine.requests) == 2


@pytest.mark.parametrize(
    "failure", [PromptTooLongError("too long"), EngineUnavailableError("away")], ids=["too long", "away"]
)
def test_a_second_attempt_that_fails_costs_no_answer(
    client: TestClient, engine: "ScriptedEngine", photo: bytes, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    engine.text = ENGLISH
    write = engine.write

    def fail(task: GenerationRequest) -> Any:
        return [failure] if task.request.corrections else write(task)

    monkeypatch.setattr(engine, "write", fail)
    answer = ask(client, photo, language="de")
    assert answer["caption"].startswith("The best views")
    assert "The caption seems not to be in German, although the model was asked for it." in answer["notices"]
    assert len(engine.requests) == 2


def test_a_compliant_caption_is_asked_for_once(client: TestClient, engine: "ScriptedEngine", photo: bytes) -> None:
    engine.texts = [GERMAN]
    ask(client, photo, language="de", length="short")
    assert len(engine.requests) == 1


def test_trained_models_are_not_checked(
    served: ServedModel, engine: "ScriptedEngine", photo: bytes, tmp_path: Path
) -> None:
    settings = ServingSettings(cache_dir=tmp_path, voice_file=tmp_path / "voice.sqlite")
    engine.text = ENGLISH
    with TestClient(build_app(settings, lambda: served)) as client:
        answer = ask(client, photo, language="de", emoji="some")
    assert answer["caption"].startswith("The best views")
    assert len(engine.requests) == 1


def test_the_second_text_of_a_stream_replaces_the_first(
    client: TestClient, engine: "ScriptedEngine", photo: bytes
) -> None:
    engine.texts = [ENGLISH, GERMAN]
    answer = client.post("/generate-caption", files={"image": photo}, data={"language": "de", "stream": "true"})
    events = [event.split("\n") for event in answer.text.strip().split("\n\n")]
    names = [name.removeprefix("event: ") for name, _ in events]
    assert names == ["token"] * names.count("token") + ["replace", "answer"]
    texts = [json.loads(data.removeprefix("data: ")) for _, data in events]
    streamed = "".join(text["text"] for text in texts[:-2])
    assert streamed
    assert ENGLISH.startswith(streamed)
    assert texts[-2] == {"variant": 0, "text": "Die schönste Aussicht kommt nach dem Aufstieg."}
    assert texts[-1]["caption"] == texts[-2]["text"]


def test_a_wordy_model_gets_more_tokens(client: TestClient, engine: "ScriptedEngine", photo: bytes) -> None:
    limits = []
    for factor in (1, 2):
        engine.token_factor, engine.limits = factor, []
        ask(client, photo)
        limits += engine.limits
    assert limits == [96, 192]
