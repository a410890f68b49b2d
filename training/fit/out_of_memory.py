"""Advice for out-of-memory errors."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from snap2caption.errors import UserError
from training.recipes.recipe import Recipe
from training.recipes.sections import EvaluationSettings


@contextmanager
def explain_out_of_memory(advice: Sequence[str]) -> Iterator[None]:
    """Turn an out-of-memory error of the GPU or the machine into one sentence.

    Raises:
        UserError: memory ran out; the message offers each remedy in *advice*.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise UserError(f"The GPU's memory ran out: {', or '.join(advice)}.") from error
    except (MemoryError, RuntimeError) as error:
        # The CPU allocator has no exception type of its own.
        if not isinstance(error, MemoryError) and "DefaultCPUAllocator: " not in str(error):
            raise
        raise UserError(f"The machine's memory ran out: {', or '.join(advice)}.") from error


def training_advice(recipe: Recipe) -> list[str]:
    """Return the settings of *recipe* to change so that training takes less memory, the least harmful first."""
    settings = recipe.training
    advice = []
    if settings.global_micro_batch_size > 1:
        advice.append(
            f"halve training.global_micro_batch_size ({settings.global_micro_batch_size}) and double "
            f"training.gradient_accumulation_steps ({settings.gradient_accumulation_steps}): a step then has as many "
            "samples, batched differently"
        )
    if not settings.gradient_checkpointing:
        advice.append("set training.gradient_checkpointing=true")
    if settings.feature_cache_gib:
        advice.append(f"lower training.feature_cache_gib ({settings.feature_cache_gib:g})")
    if settings.precision == "float32":
        advice.append("set training.precision=bfloat16")
    return [*advice, f"lower model.lora.r ({recipe.model.lora.r})"]


def evaluation_advice(settings: EvaluationSettings) -> list[str]:
    """Return the settings to change so that evaluation takes less memory."""
    return [f"lower evaluation.batch_size ({settings.batch_size})"]
