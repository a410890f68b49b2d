"""A model by name on a real OpenAI-compatible server, `transformers serve`.

It has no keys, so a wrong one is refused in the unit tests only (`tests/unit/serving/engines/test_chat_server.py`).
"""

import json
from collections.abc import Iterator

import patience
import pytest
from patience import until
from photos import real_photos
from PIL import Image
from transformers_server import MODEL, TransformersServer, transformers_server
from web_server import listening

from serving.app import build_app
from serving.engines.base import GenerationChunk, GenerationRequest, GenerationResult, generate
from serving.engines.factory import RemoteLoader
from serving.engines.openai import RemoteEngine
from serving.engines.server_errors import EngineUnavailableError
from serving.models.served_model import ServedModel
from serving.settings import ServingSettings
from snap2caption.hashtags.table import HashtagTable
from snap2caption.post import Request
from snap2caption.registry.versions import ModelVersion
from snap2caption.vlm import Decoding

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def transformers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TransformersServer]:
    with transformers_server(tmp_path_factory.mktemp("transformers")) as running:
        yield running


@pytest.fixture(scope="module")
def engine(transformers: TransformersServer) -> Iterator[RemoteEngine]:
    engine = RemoteLoader(ServingSettings(engine_url=f"{transformers.url}/v1")).load_untrained(MODEL)
    yield engine
    engine.close()


def task(*, tokens: int = 16, stream: bool = False) -> GenerationRequest:
    return GenerationRequest(Image.new("RGB", (300, 200), "teal"), Request(), (Decoding(tokens, 0.8),), stream)


def test_texts_are_written_and_counted_without_logprobs(engine: RemoteEngine) -> None:
    (result,) = generate(engine, [task()])
    assert result.description
    assert 16 < result.tokens <= 32
    assert result.confidences == ()


def test_what_it_does_not_take_is_left_out(engine: RemoteEngine, transformers: TransformersServer) -> None:
    generate(engine, [task(), task()])
    # It takes no min_p, and it ignores a schema.
    assert engine._server._refused == {"min_p"}
    assert engine._response_format is None
    assert transformers.log.read_text().count("422 Unprocessable") <= 2


def test_a_text_grows(engine: RemoteEngine) -> None:
    asked = task(stream=True)
    engine.add([asked])
    events = []
    while not any(isinstance(outcome, GenerationResult) for _, outcome in events):
        events += engine.step()
    assert sum(isinstance(outcome, GenerationChunk) for _, outcome in events) > 2


def test_what_nobody_waits_for_is_no_longer_written(engine: RemoteEngine) -> None:
    asked = task(tokens=300, stream=True)
    engine.add([asked])
    while not engine.step():
        pass
    futures = engine._running[asked].futures
    engine.drop(asked)
    until(lambda: all(future.done() for future in futures))
    assert isinstance(futures[0].exception(), EngineUnavailableError)


def test_an_unknown_model_is_refused_with_those_that_are_there(transformers: TransformersServer) -> None:
    with pytest.raises(EngineUnavailableError, match=rf"has no model tiny/other; it has {MODEL}\. Name one of these"):
        RemoteLoader(ServingSettings(engine_url=transformers.url)).load_untrained("tiny/other")


@pytest.fixture(scope="module")
def url(engine: RemoteEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The service over that engine."""
    folder = tmp_path_factory.mktemp("service")
    served = ServedModel(
        engine, HashtagTable.from_rows([]), ModelVersion(1, "run", MODEL, "rev", "data", "file:///nowhere")
    )
    settings = ServingSettings(cache_dir=folder, voice_file=folder / "voice.sqlite", max_new_tokens=32)
    with listening(build_app(settings, lambda: served)) as address:
        yield f"{address}generate-caption"


def test_the_service_captions_by_it(url: str) -> None:
    answer = patience.post(url, files={"image": real_photos()[0].read_bytes()}).json()
    assert answer["model_version"] == f"{MODEL} (untrained)"
    assert answer["caption"]
    assert answer["confidence"] is None


def test_the_service_streams_by_it(url: str) -> None:
    photo = {"image": real_photos()[0].read_bytes()}
    with patience.client() as client, client.stream("POST", url, files=photo, data={"stream": "true"}) as response:
        data = [json.loads(line.removeprefix("data: ")) for line in response.iter_lines() if line.startswith("data: ")]
    assert data[-1]["model_version"] == f"{MODEL} (untrained)"
    assert data[-1]["caption"]
