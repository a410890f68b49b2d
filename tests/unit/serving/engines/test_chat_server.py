"""Any OpenAI-compatible server, without adapters: what is asked of it, and what becomes of its refusals."""

import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from openai_server import Server, openai_server
from patience import LONGEST, until
from PIL import Image

from serving.engines.base import GenerationRequest, GenerationResult, generate
from serving.engines.chat_server import ChatServer
from serving.engines.factory import RemoteLoader
from serving.engines.openai import RemoteEngine
from serving.engines.server_errors import EngineUnavailableError
from serving.settings import ServingSettings
from snap2caption.post import Request
from snap2caption.vlm import Decoding

pytestmark = pytest.mark.unit

MODEL = "gemma3:4b"


@pytest.fixture
def server() -> Iterator[Server]:
    with openai_server("secret", MODEL) as server:
        yield server


def load(server: Server, model: str = MODEL, **more: object) -> RemoteEngine:
    given = {"engine_url": server.url, "engine_key": "secret"} | more
    engine = RemoteLoader(ServingSettings(**given)).load_untrained(model)
    server.asked.clear()
    return engine


def caption(engine: RemoteEngine) -> GenerationResult:
    task = GenerationRequest(Image.new("RGB", (32, 32), "teal"), Request(), (Decoding(16, 0.8),))
    (result,) = generate(engine, [task])
    return result


def client(url: str, key: str = "secret") -> ChatServer:
    return ChatServer(url, key, timeout=LONGEST, load_timeout=LONGEST)


def test_a_model_is_used_by_name(server: Server) -> None:
    engine = load(server)
    assert engine.version == "gemma3:4b (untrained)"
    result = caption(engine)
    engine.close()
    assert "Golden hour again." in result.texts[0]
    assert result.description == "A red bridge."
    assert {body["model"] for body in server.asked} == {MODEL}
    assert server.models == {MODEL}, "an adapter was loaded or unloaded"


def test_ollamas_default_tag_may_be_missing(server: Server) -> None:
    server.models = {"llava:latest"}
    engine = load(server, "llava")
    caption(engine)
    engine.close()
    assert engine.version == "llava (untrained)"
    assert {body["model"] for body in server.asked} == {"llava:latest"}


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/"])
def test_an_address_may_have_the_version(server: Server, path: str) -> None:
    assert client(server.url + path).find(MODEL).id == MODEL


def test_a_gateway_may_have_its_api_elsewhere(server: Server) -> None:
    # As generativelanguage.googleapis.com/v1beta/openai has it.
    server.path = "/v1beta/openai"
    engine = load(server, engine_url=server.url + server.path)
    assert caption(engine).texts
    engine.close()


@pytest.mark.parametrize("status", [404, 405])
def test_a_server_that_lists_nothing_is_used_as_it_is(server: Server, status: int) -> None:
    server.listing = (status, b"")
    engine = load(server)
    assert caption(engine).texts
    engine.close()


def test_a_model_that_is_missing_is_refused_at_once(server: Server) -> None:
    with pytest.raises(EngineUnavailableError, match=rf"{server.url} has no model llava; it has gemma3:4b\. Name one"):
        load(server, "llava")
    assert not server.asked


def test_where_no_server_is_the_address_is_named() -> None:
    with pytest.raises(
        EngineUnavailableError, match=r"No model server answers at http://127\.0\.0\.1:1 \(ConnectError\)"
    ):
        client("http://user:pass@127.0.0.1:1").find(MODEL)


def test_what_is_no_such_server_is_said(server: Server) -> None:
    server.listing = (200, b'{"hello": "world"}')
    with pytest.raises(EngineUnavailableError, match="is not answered as OpenAI's API has it"):
        client(server.url).find(MODEL)


def test_a_redirect_is_told_and_not_followed(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    with openai_server("secret", MODEL) as other:
        server.redirect = f"{other.url}/v1"
        with pytest.raises(EngineUnavailableError, match=r"redirects to another address .*ENGINE_URL"):
            client(server.url).find(MODEL)
        assert f"redirect to {other.url}/v1" in caplog.text


def test_a_wrong_key_is_refused_and_not_told(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.key = "another"
    with pytest.raises(EngineUnavailableError, match="must set SNAP2CAPTION_SERVING_ENGINE_KEY"):
        client(server.url, "s3cret-t0ken").find(MODEL)
    assert "t0ken" not in caplog.text


def test_llama_cpp_is_waited_for_while_it_loads(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.engines.chat_server._LOADING_POLL_SECONDS", 0.01)
    loading = (503, b'{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}')
    server.listing = loading
    timer = threading.Timer(0.05, lambda: setattr(server, "listing", None))
    timer.start()
    engine = load(server)
    server.refusals = [loading] * 3
    assert caption(engine).texts
    engine.close()
    timer.join()


@pytest.mark.parametrize(
    "names",
    [
        ("logprobs", "min_p"),
        ("seed", "stream_options"),
        ("max_tokens",),
        ("max_tokens", "max_completion_tokens"),
        ("temperature", "top_p"),
    ],
)
def test_what_a_server_refuses_costs_one_request(server: Server, names: tuple[str, ...]) -> None:
    server.unknown = set(names)
    engine = load(server)
    for _ in range(3):
        assert caption(engine).texts
    engine.close()
    # What is sampled has more parameters than what asks for the schema, and captions and descriptions are asked at once.
    assert len(names) <= server.refused <= 2 * len(names)
    for body in server.asked:
        assert not body.keys() & set(names)
        if names == ("max_tokens",):
            assert body["max_completion_tokens"] == 16


def test_nothing_is_learned_from_a_refusal_that_repeats(server: Server) -> None:
    engine = load(server)
    server.refusals = [(400, b'{"error": {"message": "seed is what the creator wrote"}}')] * 4
    with pytest.raises(EngineUnavailableError, match="status 400"):
        caption(engine)
    server.refusals = []
    caption(engine)
    engine.close()
    assert all("seed" in body for body in server.asked)


@pytest.mark.parametrize(("usage", "tokens"), [(None, 9), (7, 14)])
def test_tokens_are_counted_without_logprobs(server: Server, usage: int | None, tokens: int) -> None:
    server.logprobs, server.usage = False, usage
    engine = load(server)
    result = caption(engine)
    engine.close()
    assert result.tokens == tokens
    assert result.confidences == ()


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (b'data: {"error": {"code": 500, "message": "image input is not supported"}}\n\n', "can't see photos"),
        # llama.cpp until 2025 has a field of its own for it.
        (b'error: {"code": 503, "message": "Loading model", "type": "unavailable_error"}\n\n', "still loading"),
        (b'data: {"error": "an exception"}\n\n', "status 500"),
        # What transformers serve sends when the message has quotes in it.
        (b'data: {"error": "bad "quotes""}\n\n', "does not answer correctly"),
        (b'data: {"choices": [{"delta": 7}]}\n\n', "does not follow OpenAI's API"),
        # A thinking model of Ollama, whose thoughts are cut off.
        (
            b'data: {"choices": [{"delta": {"reasoning": "Hm"}, "finish_reason": "length"}]}\n\n',
            "all of its tokens to think",
        ),
    ],
)
def test_an_error_in_a_stream_is_told(server: Server, failure: bytes, sentence: str) -> None:
    engine = load(server)
    server.failure, server.words = failure, [""]
    with pytest.raises(EngineUnavailableError, match=sentence):
        caption(engine)
    engine.close()


def test_a_request_is_canceled_before_the_first_token(server: Server) -> None:
    engine = load(server)
    server.delay = LONGEST
    task = GenerationRequest(Image.new("RGB", (32, 32), "teal"), Request(), (Decoding(16),))
    engine.add([task])
    futures = engine._running[task].futures
    until(lambda: len(server.asked) == 2)
    engine.drop(task)
    for future in futures:
        assert isinstance(future.exception(timeout=LONGEST / 2), EngineUnavailableError)
    engine.close()


def test_an_endless_line_is_given_up(server: Server) -> None:
    engine = load(server)
    server.failure, server.babbles = b"A" * 2**16, True
    with pytest.raises(EngineUnavailableError, match="does not answer correctly"):
        caption(engine)
    engine.close()


def test_an_error_may_have_status_200(server: Server) -> None:
    engine = load(server)
    server.refusals = [(200, b'{"error": {"message": "Loading model", "code": 503}}')] * 2
    with pytest.raises(EngineUnavailableError, match="still loading"):
        caption(engine)
    engine.close()


def test_an_answer_without_a_stream_is_an_error(server: Server) -> None:
    engine = load(server)
    server.refusals = [(200, json.dumps({"choices": [{"message": {"content": "Hello"}}]}).encode())] * 2
    with pytest.raises(EngineUnavailableError, match="does not answer correctly"):
        caption(engine)
    engine.close()


def test_the_operator_reads_the_servers_words(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    engine = load(server)
    server.refusals = [
        (429, b'{"error": {"message": "Limit 3 of org-1, key secret", "code": "rate_limit_exceeded"}}')
    ] * 2
    with pytest.raises(EngineUnavailableError, match=r"^The model server is busy; try again in 5 s\.$"):
        caption(engine)
    engine.close()
    assert "responded with status 429: Limit 3 of org-1, key ***" in caplog.text


def test_a_first_load_may_take_longer_than_a_text(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    server.delay = 0.5
    engine = load(server, engine_seconds=0.2)
    assert f"waiting up to {LONGEST:.0f} s for {server.url} to load {MODEL}" in caplog.text
    with pytest.raises(EngineUnavailableError, match="does not answer correctly"):
        caption(engine)
    engine.close()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNAP2CAPTION_SERVING_CACHE_DIR", str(tmp_path))


def test_a_schema_is_used_where_the_server_keeps_to_it(server: Server) -> None:
    server.structured = True
    engine = load(server)
    result = caption(engine)
    engine.close()
    assert result.texts == ("Golden hour again.\n#sf",)
    assert result.description == "A red bridge."
    assert sum("response_format" in body for body in server.asked) == 1


@pytest.mark.parametrize("refused", [set(), {"response_format"}])
def test_where_it_does_not_plain_text_is_asked_for(server: Server, refused: set[str]) -> None:
    server.unknown = refused
    engine = load(server)
    result = caption(engine)
    engine.close()
    assert result.texts == ("Golden hour again.\n#sf #sunset",)
    assert not any("response_format" in body for body in server.asked)
    assert not any("JSON" in body["messages"][0]["content"][1]["text"] for body in server.asked)


@pytest.mark.parametrize("capabilities", [["completion"], ["completion", "vision"]])
def test_ollamas_text_models_are_refused(server: Server, capabilities: list[str]) -> None:
    # github.com/ollama/ollama/blob/main/docs/api.md, "Show Model Information"
    server.capabilities = capabilities
    if "vision" in capabilities:
        load(server).close()
    else:
        with pytest.raises(
            EngineUnavailableError, match=r"The model gemma3:4b can't see photos; choose a vision model"
        ):
            load(server)


def test_a_model_that_refuses_photos_is_refused_at_load(server: Server) -> None:
    server.refusals = [(400, b'{"error":"Model does not support images. Please use a model that does."}')]
    with pytest.raises(EngineUnavailableError, match="The model can't see photos"):
        load(server)
