import pytest

from serving.engines.server_errors import EngineUnavailableError
from serving.engines.server_models import ServerModel, find_model, read_models

pytestmark = pytest.mark.unit

ADDRESS = "http://127.0.0.1:11434"


def models(*names: str) -> list[ServerModel]:
    return [ServerModel(name) for name in names]


@pytest.mark.parametrize(
    ("listed", "name", "found"),
    [
        (("gemma3:4b", "llava:7b"), "llava:7b", "llava:7b"),
        # Ollama adds its default tag.
        (("llava:latest", "llava:7b"), "llava", "llava:latest"),
        (("llava",), "llava:latest", "llava"),
        # llama.cpp names its model by the path of its file, vLLM by that of its folder.
        (("../models/SmolVLM-500M-Instruct-Q8_0.gguf",), "SmolVLM-500M-Instruct", "../models/SmolVLM-500M-Instruct-Q8_0.gguf"),
        (("/m/SmolVLM-500M-Instruct-Q8_0.gguf",), "ggml-org/SmolVLM-500M-Instruct-GGUF", "/m/SmolVLM-500M-Instruct-Q8_0.gguf"),
        (("/m/gemma-3-4b-it.gguf",), "gemma-3-4b-it.gguf", "/m/gemma-3-4b-it.gguf"),
        (("ggml-org/gemma-3-4b-it-GGUF:Q4_K_M",), "ggml-org/gemma-3-4b-it-GGUF", "ggml-org/gemma-3-4b-it-GGUF:Q4_K_M"),
        (("/models/demo-base", "snap2caption-3"), "demo-base", "/models/demo-base"),
    ],
)  # fmt: skip
def test_a_model_is_found_by_name(listed: tuple[str, ...], name: str, found: str) -> None:
    assert find_model(models(*listed), name, ADDRESS).id == found


@pytest.mark.parametrize(
    ("listed", "name"),
    [
        # Which quantization is meant is not known.
        (("/m/gemma-Q4_K_M.gguf", "/m/gemma-Q8_0.gguf"), "gemma"),
        (("/m/gemma-3-4b-it.gguf",), "gem"),
        (("llava:7b",), "llava"),
        (("org/llava",), "llava"),
    ],
)
def test_another_model_is_not_taken_for_it(listed: tuple[str, ...], name: str) -> None:
    with pytest.raises(EngineUnavailableError, match=f"has no model {name}; it has {listed[0]}"):
        find_model(models(*listed), name, ADDRESS)


def test_what_is_there_is_listed_safely_and_briefly() -> None:
    listed = models("evil\x1b[2J\nname", *(f"model-{number}" for number in range(30)))
    with pytest.raises(EngineUnavailableError) as refused:
        find_model(listed, "llava", ADDRESS)
    assert str(refused.value) == (
        "The model server at http://127.0.0.1:11434 has no model llava; it has evil [2J name, model-0, model-1, model-2, "
        "model-3, model-4, model-5, model-6, model-7, model-8 and 21 more. Name one of these "
        "(Ollama: ollama pull llava), or start the server with the model."
    )


def test_a_server_without_models_says_how_to_get_one() -> None:
    # Ollama answers null when nothing has been pulled.
    with pytest.raises(EngineUnavailableError, match=r"it has none\. Load it there \(Ollama: ollama pull llava\)"):
        find_model(read_models({"object": "list", "data": None}), "llava", ADDRESS)


def test_vllm_reports_its_context() -> None:
    assert read_models({"data": [{"id": "base", "max_model_len": 512}, {"id": "other"}]}) == [
        ServerModel("base", 512),
        ServerModel("other"),
    ]
