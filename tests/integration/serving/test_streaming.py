"""Server-sent events over a real socket."""

import json
import time
from collections.abc import Iterator, Sequence

import httpx
import patience
import pytest
from photos import real_photos
from web_server import listening

from serving.app import build_app
from serving.engines.base import Event, GenerationRequest
from serving.engines.local.engine import LocalEngine
from serving.models.served_model import ServedModel
from serving.prompting.trained import TrainedTemplate
from serving.settings import ServingSettings
from snap2caption.hashtags.table import HashtagTable
from snap2caption.registry.versions import ModelVersion
from snap2caption.settings import ROOT
from snap2caption.vlm import load

pytestmark = pytest.mark.integration


class Watched(LocalEngine):
    """The real engine, whose steps are counted, and which can be made to break."""

    steps = 0
    breaks_at: int | None = None
    pause = 0.0

    def add(self, tasks: Sequence[GenerationRequest]) -> None:
        super().add(tasks)
        self.steps = 0

    def step(self) -> list[Event]:
        self.steps += 1
        time.sleep(self.pause)
        if self.steps == self.breaks_at:
            self.close()
            raise RuntimeError("the memory is gone")
        return super().step()


@pytest.fixture(scope="module")
def engine() -> Watched:
    return Watched(load("demo-base", ROOT / "models"), "demo/1", TrainedTemplate())


@pytest.fixture(scope="module")
def url(engine: Watched, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("streaming")
    version = ModelVersion(1, "run", "demo-base", "rev", "data", "file:///nowhere")
    served = ServedModel(engine, HashtagTable.from_rows([]), version)
    app = build_app(
        ServingSettings(cache_dir=folder, voice_file=folder / "voice.sqlite", max_new_tokens=48), lambda: served
    )
    with listening(app) as address:
        yield f"{address}generate-caption"


def events(url: str, photo: bytes, **options: str) -> Iterator[tuple[str, dict[str, object]]]:
    data = {"stream": "true", **options}
    with httpx.stream("POST", url, files={"image": photo}, data=data, timeout=patience.LONGEST) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        name = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line:
                yield name, json.loads(line.removeprefix("data: "))


@pytest.fixture
def photo() -> bytes:
    return real_photos()[0].read_bytes()


def test_the_pieces_are_the_caption_of_the_usual_answer(url: str, photo: bytes) -> None:
    plain = patience.post(url, files={"image": photo}, data={"variants": "2"}).json()
    *tokens, (last, answer) = events(url, photo, variants="2")
    assert {name for name, _ in tokens} == {"token"}
    assert len(tokens) > 10
    assert last == "answer"
    for field in ("caption", "hashtags", "alt_text", "model_version"):
        assert answer[field] == plain[field]
    for number, variant in enumerate(answer["variants"]):
        text = "".join(token["text"] for _, token in tokens if token["variant"] == number)
        assert text == variant["caption"]


def test_a_refusal_before_the_first_word_is_an_ordinary_one(url: str) -> None:
    answer = patience.post(url, files={"image": b"no photo"}, data={"stream": "true"})
    assert (answer.status_code, answer.json()["reason"]) == (422, "image_unreadable")


def test_a_fault_on_the_way_is_the_last_event(url: str, engine: Watched, photo: bytes) -> None:
    engine.breaks_at = 4
    try:
        *tokens, (last, problem) = events(url, photo)
    finally:
        engine.breaks_at = None
    assert tokens
    assert (last, problem["reason"]) == ("error", "internal")
    assert "memory" not in problem["detail"]


def test_nobody_writes_for_a_client_that_has_left(url: str, engine: Watched, photo: bytes) -> None:
    engine.pause = 0.1
    try:
        for name, _ in events(url, photo):
            assert name == "token"
            break
        patience.until(lambda: not engine._started)
    finally:
        engine.pause = 0.0
    assert engine.steps < 30, "the caption was written to its end"
