"""Automatic precision on processors and GPUs of each kind, which are named here as torch names them."""

import pytest
import torch

from training.planning.precision import choose_precision, with_precision
from training.recipes.recipe import Recipe

pytestmark = pytest.mark.unit

AUTO = Recipe.model_validate(
    {"model": {"base": "b", "lora": {"target_modules": "t"}}, "training": {"precision": "auto"}}
)


@pytest.mark.parametrize(
    ("processor", "gpu", "precision", "reason"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, None, "bfloat16", "the processor computes in it"),
        ({"avx512_bf16": False, "amx_bf16": True}, None, "bfloat16", "the processor computes in it"),
        ({"avx2": True}, None, "float32", "the processor does not"),
        ({}, True, "bfloat16", "the GPU computes in it"),
        ({"avx512_bf16": True}, False, "float16", "the GPU does not"),
    ],
)
def test_auto_is_chosen_by_the_hardware(monkeypatch, processor, gpu, precision, reason):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: processor)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu is not None)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: gpu)
    choice = choose_precision(AUTO)
    assert choice.precision == precision
    assert choice.reason.startswith(reason)


def test_weights_in_4_bits_are_never_computed_in_32(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    qlora = AUTO.model_copy(update={"model": AUTO.model.model_copy(update={"load_in_4bit": True})})
    assert choose_precision(qlora).precision == "bfloat16"


def test_what_a_recipe_says_is_kept():
    assert choose_precision(with_precision(AUTO, "float16")).precision == "float16"


def test_auto_is_no_type_before_it_is_resolved():
    with pytest.raises(ValueError, match="has not been resolved"):
        _ = AUTO.training.dtype
    assert with_precision(AUTO, "bfloat16").training.dtype == "bfloat16"
