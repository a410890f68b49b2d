"""Compiled decoding steps, held to PyTorch's modules and operations."""

from pathlib import Path

import numpy as np
import pytest
import torch
from families import FAMILIES, Family
from numba.core import caching
from peft import LoraConfig, get_peft_model
from transformers import Qwen2Config

from serving.engines.local import step_kernels
from serving.engines.local.compiled_step import CompiledTextModel
from serving.engines.local.decoder import Decoder
from serving.engines.local.text_model import TextModel, TextWeights, can_compile
from snap2caption.settings import ROOT
from snap2caption.vlm import load, quieten_peft
from snap2caption.vlm.kernels import WeightFormat

# LLaVA 1.6 has a backslash too many in its template.
pytestmark = [pytest.mark.unit, pytest.mark.filterwarnings("ignore:.*invalid escape sequence:DeprecationWarning")]

PROMPT = 9
"""Tokens of the longest prompt."""

F = np.float32


def models(
    family: Family, folder: Path, form: WeightFormat, *, window: int | None = None
) -> tuple[TextModel, TextModel]:
    """Return the text model with a random adapter of all linear layers: as PyTorch computes it, and with compiled steps."""
    family.write(folder)
    vlm = load(family.name, folder)
    vlm.model.config.get_text_config().sliding_window = window
    quieten_peft()
    torch.manual_seed(1)
    config = LoraConfig(r=4, lora_alpha=16, target_modules=family.language, init_lora_weights=False)
    model = get_peft_model(vlm.model, config).eval().get_base_model()
    for name, weight in model.get_decoder().named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(weight)
    weights = TextWeights(model, form)
    assert can_compile(model, weights)
    return TextModel(model, weights), CompiledTextModel(model, weights)


def logits(model: TextModel, adapted: list[bool], steps: int) -> list[torch.Tensor]:
    """Return the logits of each of *steps* steps, after prompts of different lengths; half of the way, a row leaves."""
    rows = len(adapted)
    with torch.inference_mode():
        torch.manual_seed(0)
        cache, padding = model.new_cache(rows), torch.arange(rows) * 2 % PROMPT
        marks = model.adapted(adapted)
        ids = torch.randint(10, 40, (rows, PROMPT))
        positions = (torch.arange(PROMPT) - padding[:, None]).clamp(min=0)
        model.forward(model.embed(ids), positions, model.attention_bias(padding, PROMPT, PROMPT), cache, marks)
        found = []
        for number in range(steps):
            if number == steps // 2 and rows > 1:
                # The last row takes the first one's place, and the padding that all have goes.
                order = [rows - 1, *range(1, rows - 1)]
                unused = int(padding[order].min())
                cache.keep(order, unused)
                padding, adapted = padding[order] - unused, [adapted[row] for row in order]
            marks = model.adapted(adapted)
            found.append(model.step(torch.randint(10, 40, (len(padding), 1)), padding, cache, marks).clone())
    return found


def distance(expected: torch.Tensor, found: torch.Tensor) -> float:
    """Return how far *found* is from *expected*, as a share of its length."""
    return float((expected - found).norm() / expected.norm())


# More steps than the cache grows by at once. A window shorter than the prompt, and one row, which has no padding.
@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
@pytest.mark.parametrize("form", ["float32", "float16", "int8"])
@pytest.mark.parametrize(
    ("adapted", "window"),
    [([True, False, True, False, False], None), ([True], 6), ([False] * 3, None), ([True] * 2, 5)],
)
def test_steps_have_the_logits_of_pytorchs(
    family: Family, form: WeightFormat, adapted: list[bool], window: int | None, tmp_path: Path
) -> None:
    plain, compiled = models(family, tmp_path, form, window=window)
    expected, found = logits(plain, adapted, 70), logits(compiled, adapted, 70)
    # int8 rounds its inputs, which can turn a difference in the last digit into one of a hundredth.
    tolerance = 0.05 if form == "int8" else 1e-5
    assert all(distance(one, other) < tolerance for one, other in zip(expected, found, strict=True))


def test_biases_and_unequal_heads_are_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Qwen2's attention has biases, and here three queries share a key.

    def qwen(**settings: object) -> Qwen2Config:
        return Qwen2Config(**settings | {"num_attention_heads": 6, "num_key_value_heads": 2, "hidden_size": 48})

    monkeypatch.setattr("families.LlamaConfig", qwen)
    plain, compiled = models(FAMILIES["tiny-llava-1.5"], tmp_path, "float32")
    assert plain._heads == 3 * plain._kv_heads
    for one, other in zip(logits(plain, [True, False], 8), logits(compiled, [True, False], 8), strict=True):
        assert distance(one, other) < 1e-5


def test_large_steps_are_pytorchs(tmp_path: Path) -> None:
    plain, compiled = models(FAMILIES["tiny-smolvlm"], tmp_path, "float32")
    compiled._max_rows = 2
    for one, other in zip(logits(plain, [True] * 3, 4)[:2], logits(compiled, [True] * 3, 4)[:2], strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(("dtype", "kind"), [("float32", CompiledTextModel), ("float64", TextModel)])
def test_only_float32_is_compiled(dtype: str, kind: type[TextModel]) -> None:
    assert type(Decoder(load("demo-base", ROOT / "models", dtype=dtype))._text) is kind


def test_a_single_post_compiles_nothing() -> None:
    assert type(Decoder(load("demo-base", ROOT / "models"), compiled=False)._text) is TextModel


def test_the_exponential_function_has_seven_digits() -> None:
    gates = np.concatenate([np.linspace(-90, 90, 20_001, dtype=F), F([0, -1e-30, 1e30, -1e4])])
    both, output = np.stack([np.concatenate([gates, np.ones_like(gates)])]), np.empty((1, len(gates)), F)
    step_kernels.swiglu(both, output)
    wide = gates.astype(np.float64)
    with np.errstate(over="ignore"):
        expected = wide / (1 + np.exp(-wide))
    np.testing.assert_allclose(output[0], expected, rtol=5e-7, atol=1e-33)


def test_one_token_attends_to_itself_alone() -> None:
    qkv, output = np.arange(24, dtype=F).reshape(1, 24), np.empty((1, 8), F)
    states = np.full((2, 1, 2, 3, 4), np.nan, F)
    angles = np.zeros((1, 4), F)
    step_kernels.attend(qkv, angles + 1, angles, states, np.array([1]), 1, output)
    assert output.tolist() == [qkv[0, 16:].tolist()]
    # Nothing else is written.
    assert np.isnan(states[:, :, :, [0, 2]]).all()


def test_without_a_folder_for_the_cache_it_compiles_anyway(monkeypatch: pytest.MonkeyPatch) -> None:
    # As in a container with a read-only file system and no home.
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    total = step_kernels._compiled("float32[::1]", "float32[::1]")(_double)
    doubled = np.empty(2, F)
    total(F([1, 2]), doubled)
    assert doubled.tolist() == [2, 4]


def _double(x: step_kernels.Array, output: step_kernels.Array) -> None:
    for place in range(len(x)):
        output[place] = 2 * x[place]
