"""The bodies are those that the servers' issues and sources show; each row cites one."""

import json

import pytest

from serving.engines.server_errors import ContextExceededError, EngineUnavailableError, Refusal, shorten

pytestmark = pytest.mark.unit


def openai(message: str, **more: object) -> bytes:
    return json.dumps({"error": {"message": message, "type": "invalid_request_error", "param": None, **more}}).encode()


QUOTA = "You exceeded your current quota, please check your plan and billing details."
CASES = {
    # github.com/ollama/ollama-python/issues/149 and github.com/otwld/ollama-helm/issues/61
    "ollama model": (404, b"""{"error":"model 'llama2' not found, try pulling it first"}""", "does not have the model any more"),
    # github.com/netease-youdao/QAnything/issues/555
    "ollama model, compatible": (
        404,
        openai('model "ollama" not found, try pulling it first', type="api_error", code=None),
        "does not have the model any more",
    ),
    # github.com/ollama/ollama/issues/17301
    "ollama photos": (400, openai("this model does not support image input (ref: b8bd630e)"), "can't see photos"),
    # github.com/ggml-org/llama.cpp/issues/15377
    "llama.cpp photos": (
        500,
        b'{"error":{"code":500,"message":"image input is not supported - hint: if this is unexpected, you may need to provide'
        b' the mmproj","type":"server_error"}}',
        "can't see photos; .*--mmproj",
    ),
    # github.com/ggml-org/llama.cpp/issues/12947
    "llama.cpp photos, older": (
        500,
        json.dumps(
            {"error": {"code": 500, "message": 'Failed to parse messages: Unsupported content part type: "image_url"; messages'}}
        ).encode(),
        "can't see photos",
    ),
    # github.com/lmstudio-ai/lmstudio-bug-tracker/issues/908
    "lm studio photos": (400, b'{"error":"Model does not support images. Please use a model that does."}', "can't see photos"),
    # github.com/pictaria-ai/pictaria-server/issues/5
    "lm studio model": (
        404,
        openai("No models loaded. Please load a model in the developer page or use the 'lms load' command."),
        "does not have the model any more",
    ),
    # github.com/vllm-project/vllm/issues/23402
    "vllm photos": (400, openai("/models/llama is not a multimodal model", type="BadRequestError"), "can't see photos"),
    # llama.cpp's tools/server/README.md, "API endpoints": GET /health
    "llama.cpp loading": (
        503,
        b'{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}',
        "still loading the model; try again in a minute",
    ),
    # platform.openai.com/docs/guides/error-codes
    "openai quota": (429, openai(QUOTA, type="insufficient_quota", code="insufficient_quota"), "quota is used up"),
    "openai key": (401, openai("Incorrect API key provided: sk-ab***yz.", code="invalid_api_key"), "rejects the service's key"),
    "openai rate": (429, openai("Rate limit reached for gpt-4o", code="rate_limit_exceeded"), r"busy; try again in 20 s\."),
    # FastAPI's, as transformers serve answers for another model than its own
    "transformers model": (
        400,
        b"""{"detail":"Server is pinned to 'tiny@main'; requested 'other'."}""",
        r"responded with status 400; see its log\.",
    ),
    "plain text": (502, b"<html>Bad Gateway</html>", r"responded with status 502; see its log\."),
}  # fmt: skip


@pytest.mark.parametrize(("status", "body", "sentence"), CASES.values(), ids=CASES)
def test_an_error_becomes_one_sentence(status: int, body: bytes, sentence: str) -> None:
    error = Refusal.read(status, body, "20").error()
    assert isinstance(error, EngineUnavailableError)
    with pytest.raises(EngineUnavailableError, match=sentence):
        raise error
    assert error.retry_after == 20
    assert "sk-" not in str(error)


@pytest.mark.parametrize(
    "body",
    [
        # github.com/ggml-org/llama.cpp/pull/15780
        b'{"error":{"code":400,"message":"the request exceeds the available context size.",'
        b'"type":"exceed_context_size_error","n_prompt_tokens":1407,"n_ctx":256}}',
        # vllm/entrypoints/openai: "maximum context length"
        openai("This model's maximum context length is 512 tokens. However, you requested 600 tokens."),
        openai("too long", code="context_length_exceeded"),
    ],
)
@pytest.mark.parametrize("status", [400, 500])
def test_a_prompt_beyond_the_context_is_recognized(status: int, body: bytes) -> None:
    assert isinstance(Refusal.read(status, body).error(), ContextExceededError)


def test_an_error_in_a_stream_has_its_own_status() -> None:
    # github.com/oobabooga/textgen/issues/7257: the response's status is 200.
    body = b'{"error":{"code":503,"message":"busy","type":"server_error"}}'
    assert Refusal.read(200, body).status == 503
    assert Refusal.read(200, b'{"error":"an exception"}').status == 500


@pytest.mark.parametrize(
    ("status", "body", "refused"),
    [
        (400, openai("Unrecognized request argument supplied: min_p"), "min_p"),
        # github.com/FoundationAgents/OpenManus/issues/555
        (
            400,
            openai("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens'"),
            "max_tokens",
        ),
        (400, openai("Unsupported value", param="temperature", code="unsupported_value"), "temperature"),
        # transformers 5.23, cli/serving/utils.py
        (422, b"""{"detail":"Unexpected fields in the request: {'min_p'}"}""", "min_p"),
        # FastAPI with models that forbid extra fields, such as Mistral's API
        (
            422,
            b'{"detail":[{"type":"extra_forbidden","loc":["body","seed"],"msg":"Extra inputs are not permitted","input":0}]}',
            "seed",
        ),
        # What was sent is not looked at: a creator may have written it.
        (422, b'{"detail":[{"loc":["body","messages"],"msg":"Invalid","input":"a seed and its logprobs"}]}', None),
        # Google's compatible API answers with a list.
        (400, b"""[{"error":{"code":400,"message":"Invalid JSON payload received. Unknown name \\"seed\\""}}]""", "seed"),
        (400, openai("The message is empty"), None),
        (500, openai("logprobs are broken"), None),
    ],
)  # fmt: skip
def test_a_refused_parameter_is_found(status: int, body: bytes, refused: str | None) -> None:
    sent = ["logprobs", "max_completion_tokens", "max_tokens", "min_p", "seed", "temperature"]
    assert Refusal.read(status, body).refused_parameter(sent) == refused


def test_a_quote_is_short_and_has_no_secret() -> None:
    refusal = Refusal.read(
        401, openai(f"Wrong key sk-abc123*** or t0ken\x1b[2J {'A' * 70} {'word ' * 60}\nmessages: hello")
    )
    quote = refusal.quote("t0ken")
    assert quote.startswith("Wrong key *** or *** [2J … word")
    assert len(quote) == 200
    assert "hello" not in quote
    assert quote.isprintable()


def test_a_name_is_shown_without_control_characters() -> None:
    assert shorten("a\x1b[31m\nb") == "a [31m b"
    assert len(shorten("x" * 500)) == 80
