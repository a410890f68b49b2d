import pytest
import torch

from snap2caption.errors import UserError
from training.fit.out_of_memory import evaluation_advice, explain_out_of_memory, training_advice

pytestmark = pytest.mark.unit

TOO_MUCH = 1 << 55


def allocate_by_torch() -> None:
    torch.empty(TOO_MUCH)


def allocate_by_python() -> None:
    bytearray(TOO_MUCH)


def allocate_on_a_gpu() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")


@pytest.mark.parametrize(
    ("allocate", "whose"),
    [(allocate_by_torch, "machine"), (allocate_by_python, "machine"), (allocate_on_a_gpu, "GPU")],
)
def test_a_shortage_is_one_sentence_that_names_settings(recipe, allocate, whose):
    with pytest.raises(UserError) as caught, explain_out_of_memory(training_advice(recipe)):
        allocate()
    sentence = str(caught.value)
    assert sentence.startswith(f"The {whose}'s memory ran out: halve training.global_micro_batch_size (8) and double")
    for setting in (
        "training.gradient_checkpointing=true",
        "training.feature_cache_gib",
        "training.precision=bfloat16",
        "model.lora.r",
    ):
        assert setting in sentence
    assert "\n" not in sentence


def test_what_can_not_be_lowered_is_not_named(recipe):
    settings = recipe.training.model_copy(
        update={
            "global_micro_batch_size": 1,
            "precision": "bfloat16",
            "feature_cache_gib": 0.0,
            "gradient_checkpointing": True,
        }
    )
    assert training_advice(recipe.model_copy(update={"training": settings})) == ["lower model.lora.r (4)"]
    assert evaluation_advice(recipe.evaluation) == ["lower evaluation.batch_size (6)"]


def test_another_fault_stays_what_it_is():
    with pytest.raises(RuntimeError, match="size of tensor"), explain_out_of_memory([]):
        torch.zeros(2) + torch.zeros(3)
