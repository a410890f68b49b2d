"""A model by name on a real OpenAI-compatible server, `transformers serve`.

It has no keys, so a wrong one is refused in the unit tests only (`tests/unit/serving/engines/test_chat_server.py`).
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import patience
import pytest
from patience import until
from photos import real_photos
from PIL import Image
from recording_proxy import RecordingProxy
from service_process import server
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


VOICE = ["Coffee first, city second.", "Fog, then ferry.", "Late light, long shadows."]

OPTIONS: dict[str, tuple[dict[str, object], list[str]]] = {
    "tone": ({"tone": "witty"}, ["- Tone: witty"]),
    **{
        language: ({"language": language}, [f"- Write the caption in {name}."])
        for language, name in {
            "de": "German", "es": "Spanish", "fr": "French", "ja": "Japanese", "pt-BR": "Brazilian Portuguese",
        }.items()
    },
    "voice": ({"voice": VOICE}, ["Write in their style", *(f"> {caption}" for caption in VOICE)]),
    "length": ({"length": "short"}, ["- Length: 3 to 12 words."]),
    "no emoji": ({"emoji": "none"}, ["- Use no emoji."]),
    "some emoji": ({"emoji": "some"}, ["- Use one to 3 emoji"]),
    "many emoji": ({"emoji": "many"}, ["- Use more than 3 emoji"]),
    "hint": ({"hint": "mention the fog"}, ["- Wish of the person who posts it: mention the fog"]),
    "place": ({"location": "Pier 39"}, ["- Place: Pier 39."]),
}  # fmt: skip
"""What a request asks for, and the lines that the model gets for it."""


@pytest.fixture(scope="module")
def recorded(
    transformers: TransformersServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RecordingProxy, str]]:
    """The service as `snap2caption serve` makes it, whose requests to the server are kept."""
    folder = tmp_path_factory.mktemp("recorded")
    proxy = RecordingProxy(transformers.url)
    with listening(proxy.app) as address:
        variables = {
            "SNAP2CAPTION_STATE_DIR": str(folder / "state"),
            "SNAP2CAPTION_SERVING_SWITCH_TO_CHAMPION": "false",
            "SNAP2CAPTION_SERVING_MODEL": MODEL,
            "SNAP2CAPTION_SERVING_ENGINE_URL": address,
        }
        with server(folder, os.environ | variables) as url:
            yield proxy, url


@pytest.mark.parametrize(("options", "lines"), OPTIONS.values(), ids=OPTIONS.keys())
def test_each_option_reaches_the_model(
    recorded: tuple[RecordingProxy, str], options: dict[str, object], lines: list[str]
) -> None:
    proxy, url = recorded
    proxy.bodies.clear()
    answer = patience.post(
        f"{url}/v1/generate-caption", files={"image": real_photos()[0].read_bytes()}, data=options
    ).json()
    assert answer["model_version"] == f"{MODEL} (untrained)"
    captions = [prompt for prompt in proxy.prompts if prompt.startswith("Write an Instagram caption")]
    descriptions = [prompt for prompt in proxy.prompts if prompt.startswith("Describe this photo")]
    assert captions
    assert descriptions
    for prompt in captions:
        assert [line for line in lines if line not in prompt] == []
    if "language" in options:
        # Random weights write in no language, so the model is asked once more.
        assert all(lines[0].removeprefix("- Write the caption ").rstrip(".") in prompt for prompt in descriptions)
        assert any("This time:" in prompt for prompt in captions)
    if options.get("language") == "ja":
        # They may pass for a language of Latin letters by chance, but hardly for Japanese.
        assert any("seems not to be in Japanese" in notice for notice in answer["notices"])


def test_the_command_line_captions_by_a_server(transformers: TransformersServer, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    command = (sys.executable, "-m", "snap2caption", "caption", str(real_photos()[0]), "--json", "--tone=playful")
    named = (f"--engine={transformers.url}", f"--model={MODEL}", f"--picture={picture}")
    state = os.environ | {"SNAP2CAPTION_STATE_DIR": str(tmp_path)}
    done = subprocess.run((*command, *named), env=state, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["model_version"] == f"{MODEL} (untrained)"
    assert picture.stat().st_size > 1000
    other = subprocess.run(
        (*command, named[0], "--model=other"), env=state, capture_output=True, text=True, check=False
    )
    assert other.returncode == 1
    assert f"has no model other; it has {MODEL}" in " ".join(other.stderr.split())
