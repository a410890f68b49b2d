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
from serving.settings import ServingSettings
from snap2caption.errors import UserError
from snap2caption.post import Request
from snap2caption.registry.versions import ModelVersion
from snap2caption.settings import ROOT
from snap2caption.vlm import Decoding, find_revision, load, quieten_peft
from snap2caption.vlm.packed_linear import PackedLinear
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


@pytest.mark.parametrize("precision", ["auto", "bf16", "int8"])
def test_descriptions_stay_close(
    precision: str, adapter: Path, tasks: list[GenerationRequest], whole: list[str]
) -> None:
    described = [written.description for written in generate(engine(precision, adapter), tasks)]
    alike = [likeness(*pair) for pair in zip(described, whole, strict=True)]
    strangers = [likeness(one, other) for one, other in zip(whole, [*whole[1:], whole[0]], strict=True)]
    bootstrap = Bootstrap(confidence=0.99)
    assert bootstrap.mean(np.array(alike)).low > 0.7
    assert bootstrap.mean(np.subtract(alike, strangers)).low > 0.2


def test_versions_share_packed_weights(adapter: Path) -> None:
    loader = LocalLoader(ServingSettings(), MODELS)
    version = ModelVersion(1, "run", "demo-base", find_revision("demo-base", MODELS), "data", "file:///nowhere")
    one, other = (loader.load(version, adapter, f"demo/{number}")._decoder for number in (1, 2))
    assert one._text._weights is other._text._weights
    seeing = [
        [module._kernel for module in decoder._model.modules() if isinstance(module, PackedLinear)]
        for decoder in (one, other)
    ]
    assert seeing[0]
    assert all(a is b for a, b in zip(*seeing, strict=True))


def test_int8_without_its_kernels_is_told(adapter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.backends.mkldnn.is_available", lambda: False)
    with pytest.raises(UserError, match="needs oneDNN's kernels"):
        engine("int8", adapter)


def test_packed_weights_are_held_once(adapter: Path) -> None:
    model = engine("auto", adapter)._decoder._model
    linear = [
        module for name, module in model.named_modules() if isinstance(module, torch.nn.Linear) and "lora" not in name
    ]
    assert linear
    assert all(layer.weight.untyped_storage().nbytes() <= 8 for layer in linear if layer is not model.lm_head)
