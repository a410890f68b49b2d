import re
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    CLIPVisionConfig,
    Idefics3Config,
    LlavaConfig,
    LlavaNextConfig,
    MistralConfig,
)

from snap2caption.errors import UserError
from training.data.collator import SampleCollator
from training.data.samples import evaluation_prompt
from training.fit.lora import add_adapter, trainable_parameters
from training.fit.loss import answer_loss
from training.recipes.loading import load_recipe

pytestmark = pytest.mark.unit

CONFIGS = Path(__file__).parents[4] / "configs"
MODELS = CONFIGS.parent / "models"


def test_only_the_named_modules_are_touched(load_tiny, recipe):
    settings = recipe.model.lora
    model = add_adapter(load_tiny().model, settings)
    touched = {name.split(".lora_")[0] for name, weight in model.named_parameters() if weight.requires_grad}
    assert len(touched) == 2 * 7
    assert all(re.fullmatch(settings.target_modules, name.removeprefix("base_model.model.")) for name in touched)
    assert not any("vision" in name or "projector" in name for name in touched)
    assert 0 < trainable_parameters(model) < sum(weight.numel() for weight in model.parameters())


def test_a_fresh_adapter_changes_nothing(load_tiny, recipe, dataset):
    vlm = load_tiny()
    batch = SampleCollator(vlm, evaluation_prompt)(dataset.samples("test")[:2])
    before = answer_loss(vlm.model, batch)[0].item()
    model = add_adapter(vlm.model, recipe.model.lora).eval()
    assert answer_loss(model, batch)[0].item() == before


@pytest.fixture
def trained(load_tiny, recipe, tmp_path):
    """The folder of an adapter whose weights are none of a new one's."""
    model = add_adapter(load_tiny().model, recipe.model.lora)
    for weight in model.parameters():
        if weight.requires_grad:
            torch.nn.init.normal_(weight, std=0.1)
    model.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


def test_training_begins_with_the_adapter_that_is_given(load_tiny, recipe, dataset, trained):
    vlm, before = load_tiny(), load_tiny(trained)
    batch = SampleCollator(vlm, evaluation_prompt)(dataset.samples("test")[:2])
    fresh = answer_loss(vlm.model, batch)[0].item()
    model = add_adapter(vlm.model, recipe.model.lora, trained).eval()
    assert answer_loss(model, batch)[0].item() == answer_loss(before.model, batch)[0].item() != fresh
    # It is trained, as a new one would be.
    assert trainable_parameters(model) == trainable_parameters(add_adapter(load_tiny().model, recipe.model.lora))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"r": 8, "lora_alpha": 16}, r"has r=4, lora_alpha=8 and .* so add model\.lora\.r=4 model\.lora\.lora_alpha=8"),
        ({"lora_alpha": 16}, r"has r=4, lora_alpha=8 and"),
        ({"target_modules": r".*language_model.*\.q_proj"}, r"target_modules=\.\*language_model.* has others"),
    ],
)
def test_an_adapter_of_another_shape_is_refused(load_tiny, recipe, trained, change, message):
    with pytest.raises(UserError, match=message):
        add_adapter(load_tiny().model, recipe.model.lora.model_copy(update=change), trained)


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_config.json"])
@pytest.mark.parametrize("content", [b"", b"{", None])
def test_a_damaged_adapter_to_begin_with_is_one_sentence(load_tiny, recipe, trained, name, content):
    if content is None:
        (trained / name).unlink()
    else:
        (trained / name).write_bytes(content)
    with pytest.raises(UserError, match=r"damaged \(.*\); train it"):
        add_adapter(load_tiny().model, recipe.model.lora, trained)


@pytest.mark.parametrize("targets", [".*", r"model\.vision_tower.*", r".*(norm|q_proj)"])
def test_targets_that_match_more_than_linear_layers_are_refused(load_tiny, recipe, targets):
    settings = recipe.model.lora.model_copy(update={"target_modules": targets})
    with pytest.raises(
        UserError, match=r"matches more than linear layers, such as .*; name layers like model.language_model"
    ):
        add_adapter(load_tiny().model, settings)


def test_targets_that_match_nothing_are_refused(load_tiny, recipe):
    settings = recipe.model.lora.model_copy(update={"target_modules": "q_proj"})
    with pytest.raises(
        UserError, match=r"matches no linear layer .* like model.language_model.layers.0.self_attn.q_proj"
    ):
        add_adapter(load_tiny().model, settings)


CLIP_LARGE = CLIPVisionConfig(
    hidden_size=1024,
    intermediate_size=4096,
    num_hidden_layers=24,
    num_attention_heads=16,
    image_size=336,
    patch_size=14,
)
BASES = {
    "demo-base": AutoConfig.from_pretrained(MODELS / "demo-base"),
    "llava-hf/llava-1.5-7b-hf": LlavaConfig(vision_config=CLIP_LARGE),
    "llava-hf/llava-v1.6-mistral-7b-hf": LlavaNextConfig(vision_config=CLIP_LARGE, text_config=MistralConfig()),
    "HuggingFaceTB/SmolVLM-256M-Instruct": Idefics3Config(),
}
"""What the recipes' bases are built like; their depths alone matter here."""


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_recipes_targets_are_the_parts_that_they_name(path):
    recipe = load_recipe(path)
    config = BASES[recipe.model.base]
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)
    layers = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    # The setting itself, and those that its comments offer.
    variants = re.findall(r"^ +(?:# )?target_modules: (\S+)$", path.read_text(), re.MULTILINE)
    assert variants[0] == recipe.model.lora.target_modules
    language, projector, vision = (
        {name for name in layers if re.fullmatch(wider, name)}
        - {name for name in layers if re.fullmatch(narrower, name)}
        for narrower, wider in zip(["", *variants], variants, strict=False)
    )
    assert len(language) == 7 * config.get_text_config().num_hidden_layers
    assert all(re.match(r"model\.(language|text)_model\.", name) for name in language)
    assert projector == {name for name in layers if re.match(r"model\.(multi_modal_projector|connector)\.", name)}
    # LLaVA sees by the last layer but one.
    skipped = abs(getattr(config, "vision_feature_layer", -1)) - 1
    assert len(vision) == 6 * (config.vision_config.num_hidden_layers - skipped)
    assert all(re.match(r"model\.vision_(tower|model)\.", name) for name in vision)
