"""Training benchmark: FLOP counts and model shapes."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForImageTextToText

from benchmarks.training import photos, shapes
from benchmarks.training.flops import count, describe
from benchmarks.training.gpu import find_peak
from snap2caption.images import decode
from training.data.collator import SampleCollator
from training.data.samples import evaluation_prompt
from training.fit.lora import add_adapter
from training.fit.loss import answer_loss
from training.recipes.sections import LoraSettings

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("shape", "published"), [("smolvlm-256m", 256_484_928), ("llava-1.5-7b", 7_063_427_072)])
def test_shapes_have_as_many_parameters_as_the_published_models(shape, published):
    config, _ = shapes.SHAPES[shape]()
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)
    assert sum(parameter.numel() for parameter in model.parameters()) == published


@pytest.mark.parametrize(("shape", "tokens"), [("smolvlm-256m", 1088), ("smolvlm-256m-unsplit", 64)])
def test_a_photo_has_the_published_models_image_tokens(shape, tokens):
    config, processor = shapes.SHAPES[shape]()
    sample = photos.draw(1, seed=0)[0]
    batch = processor(images=[decode(sample.photo())], text=["<image>"], return_tensors="pt")
    assert (batch["input_ids"] == config.image_token_id).sum() == tokens


def test_the_formula_agrees_with_what_torch_counts():
    vlm = shapes.build("llava-tiny", "float32")
    targets = r".*language_model.*\.(q_proj|down_proj)"
    vlm.model = add_adapter(vlm.model, LoraSettings(r=4, lora_dropout=0.0, target_modules=targets))
    batch = SampleCollator(vlm, evaluation_prompt)(photos.draw(2, seed=0))
    with FlopCounterMode(display=False) as counter:
        answer_loss(vlm.model, batch)[0].backward()
    needed = count(vlm.model, describe(vlm, batch))
    # torch does not count attention on the processor; it counts padding, and that the first layer's input needs no
    # gradient.
    assert 2 * (needed.total - needed.attention) == pytest.approx(counter.get_total_flops(), rel=0.05)


def test_a_cards_peak_is_found_by_its_name():
    assert find_peak("NVIDIA H100 80GB HBM3") == 989.4
    assert find_peak("NVIDIA H100 PCIe") == 756
    assert find_peak("NVIDIA L40S") == 362
    assert find_peak("NVIDIA L4") == 121
    assert find_peak("cpu") is None
