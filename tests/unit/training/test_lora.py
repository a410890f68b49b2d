import re
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForImageTextToText, LlavaConfig, SmolVLMConfig

from snap2caption.errors import UserError
from training.collate import SampleCollator
from training.data import evaluation_prompt
from training.lora import add_adapter, trainable_parameters
from training.loss import answer_loss
from training.recipe import load_recipe

pytestmark = pytest.mark.unit

CONFIGS = Path(__file__).parents[3] / "configs"


def test_only_the_named_modules_are_touched(load_tiny, recipe):
    settings = recipe.model.lora
    model = add_adapter(load_tiny().model, settings)
    touched = {name.split(".lora_")[0] for name, weight in model.named_parameters() if weight.requires_grad}
    assert len(touched) == 2 * 7
    assert all(re.fullmatch(settings.targets, name.removeprefix("base_model.model.")) for name in touched)
    assert not any("vision" in name or "projector" in name for name in touched)
    assert 0 < trainable_parameters(model) < sum(weight.numel() for weight in model.parameters())


def test_a_fresh_adapter_changes_nothing(load_tiny, recipe, dataset):
    vlm = load_tiny()
    batch = SampleCollator(vlm, evaluation_prompt)(dataset.samples("test")[:2])
    before = answer_loss(vlm.model, batch)[0].item()
    model = add_adapter(vlm.model, recipe.model.lora).eval()
    assert answer_loss(model, batch)[0].item() == before


def test_targets_that_match_nothing_are_refused(load_tiny, recipe):
    settings = recipe.model.lora.model_copy(update={"targets": "q_proj"})
    with pytest.raises(
        UserError, match=r"matches no linear layer .* like model.language_model.layers.0.self_attn.q_proj"
    ):
        add_adapter(load_tiny().model, settings)


@pytest.mark.parametrize(
    ("name", "config", "language_model"),
    [
        ("llava-1.5-7b", LlavaConfig(), "model.language_model."),
        ("smolvlm-256m-cpu", SmolVLMConfig(), "model.text_model."),
    ],
)
def test_the_shipped_recipes_name_the_language_model_of_their_family(name, config, language_model):
    targets = load_recipe(CONFIGS / f"{name}.yaml").model.lora.targets
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)
    touched = [path for path, _ in model.named_modules() if re.fullmatch(targets, path)]
    assert len(touched) == 7 * config.get_text_config().num_hidden_layers
    assert all(path.startswith(language_model) for path in touched)
