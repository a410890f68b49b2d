"""Automatic precision: what ``training.precision=auto`` stands for on this machine."""

from dataclasses import dataclass

import torch

from snap2caption.vlm.kernels import has_bfloat16
from training.recipes.recipe import Recipe
from training.recipes.sections import Precision


@dataclass(frozen=True, slots=True)
class PrecisionChoice:
    """A precision, and why it was chosen."""

    precision: Precision
    reason: str


def choose_precision(recipe: Recipe) -> PrecisionChoice:
    """Return the recipe's precision; for ``auto``, the fastest that this machine computes in with the same result.

    The choice depends on the hardware alone and not on a measurement, so a dry run, a resumed run and all processes
    make the same one. Figures are in docs/benchmarks.md#training.
    """
    asked = recipe.training.precision
    if asked != "auto":
        return PrecisionChoice(asked, "the recipe says so")
    if torch.cuda.is_available():
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return PrecisionChoice("bfloat16", "the GPU computes in it")
        return PrecisionChoice("float16", "the GPU does not compute in bfloat16")
    if has_bfloat16():
        return PrecisionChoice("bfloat16", "the processor computes in it, by AVX-512 or AMX")
    if recipe.model.load_in_4bit:
        return PrecisionChoice("bfloat16", "weights in 4 bits are unpacked to 16")
    return PrecisionChoice("float32", "the processor does not compute in bfloat16")


def with_precision(recipe: Recipe, precision: Precision) -> Recipe:
    """Return *recipe* with *precision* in place of its own."""
    return recipe.model_copy(update={"training": recipe.training.model_copy(update={"precision": precision})})
