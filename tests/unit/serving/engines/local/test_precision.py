"""Precisions on the project's small model: the output stays close, and memory shrinks as documented."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from photos import real_photos
from PIL import Image

from serving.engines.base import GenerationRequest, generate
from serving.engines.local.engine import LocalEngine
from serving.engines.local.loader import LocalLoader
from serving.engines.local.quantization import Int8Linear, quantize
from serving.settings import ServingSettings
from snap2caption.post import Request
from snap2caption.registry.versions import ModelVersion
from snap2caption.settings import ROOT
from snap2caption.vlm import Decoding, find_revision, load, quieten_peft
from training.evaluation.bootstrap import Bootstrap

pytestmark = pytest.mark.unit

MODELS = ROOT / "models"


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that changes nothing, so that only the base model counts."""
    folder = tmp_path_factory.mktemp("adapter")
    quieten_peft()
    config = LoraConfig(r=4, target_modules=r".*language_model.*\.(q_proj|v_proj)")
    get_peft_model(load("demo-base", MODELS).model, config).save_pretrained(folder)
    return folder


def engine(precision: str, adapter: Path) -> LocalEngine:
    loader = LocalLoader(ServingSettings(precision=precision), MODELS)
    version = ModelVersion(1, "run", "demo-base", find_revision("demo-base", MODELS), "data", "file:///nowhere")
    return loader.load(version, adapter, "demo/1")


@pytest.fixture(scope="module")
def tasks() -> list[GenerationRequest]:
    photos = [Image.open(file).convert("RGB") for file in real_photos()[:24]]
    return [GenerationRequest(photo, Request(), (Decoding(24),)) for photo in photos]


@pytest.fixture(scope="module")
def whole(adapter: Path, tasks: list[GenerationRequest]) -> list[str]:
    return [written.description for written in generate(engine("fp32", adapter), tasks)]


def likeness(one: str, other: str) -> float:
    words = [set(re.findall(r"\w+", text)) for text in (one, other)]
    return len(words[0] & words[1]) / max(1, len(words[0] | words[1]))


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_descriptions_stay_close(
    precision: str, adapter: Path, tasks: list[GenerationRequest], whole: list[str]
) -> None:
    described = [written.description for written in generate(engine(precision, adapter), tasks)]
    alike = [likeness(*pair) for pair in zip(described, whole, strict=True)]
    strangers = [likeness(one, other) for one, other in zip(whole, [*whole[1:], whole[0]], strict=True)]
    bootstrap = Bootstrap(confidence=0.99)
    assert bootstrap.mean(np.array(alike)).low > 0.7
    assert bootstrap.mean(np.subtract(alike, strangers)).low > 0.2


def held(engine: LocalEngine) -> int:
    """Return the bytes of the language model's linear weights, without the output layer."""
    modules = engine._decoder._model.model.language_model.layers.named_modules()
    return sum(one.weight.nbytes for name, one in modules if isinstance(one, torch.nn.Linear) and "lora" not in name)


def test_weights_take_what_their_bits_say(adapter: Path) -> None:
    bytes_of = {precision: held(engine(precision, adapter)) for precision in ("fp32", "bf16", "int8")}
    assert bytes_of["bf16"] < 0.6 * bytes_of["fp32"]
    assert bytes_of["int8"] < 0.35 * bytes_of["fp32"]


def test_versions_share_weights_of_8_bits(adapter: Path) -> None:
    loader = LocalLoader(ServingSettings(precision="int8"), MODELS)
    version = ModelVersion(1, "run", "demo-base", find_revision("demo-base", MODELS), "data", "file:///nowhere")
    pair = [loader.load(version, adapter, f"demo/{number}")._decoder._model for number in (1, 2)]
    one, other = ([module for module in model.modules() if isinstance(module, Int8Linear)] for model in pair)
    assert one
    assert all(a.weight.data_ptr() == b.weight.data_ptr() for a, b in zip(one, other, strict=True))


def test_a_layer_is_as_near_as_8_bits_can_be() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU())
    x = torch.randn(3, 5, 64)
    expected = model(x)
    quantize(model)
    assert isinstance(model[0], Int8Linear)
    assert (model(x) - expected).norm() < 0.01 * expected.norm()


def test_what_sees_and_the_output_layer_stay_whole(adapter: Path) -> None:
    names = {
        name
        for name, module in engine("int8", adapter)._decoder._model.named_modules()
        if isinstance(module, Int8Linear)
    }
    assert names
    assert not [name for name in names if "vision" in name or "projector" in name or name.endswith("lm_head")]
