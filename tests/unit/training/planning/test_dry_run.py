import re
import sys

import forks
import pytest
import torch
import yaml
from families import FAMILIES
from tiny import write_dataset
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional

from snap2caption.errors import UserError
from snap2caption.settings import Settings
from snap2caption.vlm import load, load_config
from training.fit.lora import add_adapter, trainable_parameters
from training.planning.dry_run import check_model, make_plan
from training.planning.estimate import BatchShape, FakeTensorModel, measure_throughput
from training.recipes.recipe import Recipe

# Jinja, about the `<\s>` of LLaVA 1.6's template.
pytestmark = [pytest.mark.unit, pytest.mark.filterwarnings("ignore:.*invalid escape sequence:DeprecationWarning")]


@pytest.fixture
def settings(families_dir, tmp_path):
    return Settings(state_dir=tmp_path, models_dir=families_dir)


def with_changes(recipe: Recipe, **changes) -> Recipe:
    """Return *recipe* with changed settings, by their dotted names with a double underscore for the dot."""
    content = recipe.model_dump()
    for name, value in changes.items():
        *sections, key = name.split("__")
        place = content
        for section in sections:
            place = place[section]
        place[key] = value
    return Recipe.model_validate(content)


def really_kept(model, embedded, answer_tokens):
    """Return the bytes that autograd saves in a real step, but for the weights."""
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    saved = {}

    def save(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            # Kept, so that no other takes its place.
            saved[storage.data_ptr()] = (tensor, storage.nbytes())
        return tensor

    targets = torch.zeros(len(embedded) * answer_tokens, dtype=torch.long)
    # Of unequal samples, as batches usually are: then each layer keeps a mask, too.
    mask = torch.ones(embedded.shape[:2], dtype=torch.long)
    mask[0, -5:] = 0
    with saved_tensors_hooks(save, lambda tensor: tensor):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=embedded.dtype is torch.bfloat16):
            logits = model(
                inputs_embeds=embedded, attention_mask=mask, logits_to_keep=answer_tokens, use_cache=False
            ).logits
        functional.cross_entropy(logits.flatten(0, 1).float(), targets)
    return sum(size for _, size in saved.values()) + logits.numel() * 4


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES.keys())
def test_what_is_imagined_is_what_a_real_step_keeps(family, precision, families_dir, recipe):
    lora = recipe.model.lora.model_copy(update={"target_modules": family.language})
    imagined = FakeTensorModel(load_config(family.name, families_dir), lora, precision)
    real = add_adapter(load(family.name, families_dir, dtype=precision).model, lora).train()
    assert imagined.trainable == trainable_parameters(real)
    assert imagined.parameters + imagined.trainable == sum(weight.numel() for weight in real.parameters())

    cost = imagined.step(BatchShape(samples=3, tokens=40, answer_tokens=9, crops=1), checkpointing=False)
    embedded = torch.zeros(3, 40, imagined.config.get_text_config().hidden_size, dtype=getattr(torch, precision))
    assert cost.saved_bytes == pytest.approx(really_kept(real, embedded, 9), rel=0.02)


def test_checkpointing_trades_memory_for_arithmetic(families_dir, recipe):
    imagined = FakeTensorModel(load_config("tiny-llava-1.5", families_dir), recipe.model.lora, "float32")
    batch = BatchShape(samples=4, tokens=64, answer_tokens=8, crops=1)
    kept, computed_again = (imagined.step(batch, checkpointing=checkpointing) for checkpointing in (False, True))
    assert computed_again.saved_bytes < 0.8 * kept.saved_bytes
    # Forwards is a third or more of what is done: frozen weights have no gradients of their own.
    assert 1.3 < computed_again.training_flops / kept.training_flops < 1.6


def test_arithmetic_grows_with_the_batch(families_dir, recipe):
    imagined = FakeTensorModel(load_config("tiny-llava-1.6", families_dir), recipe.model.lora, "float32")
    one, four = (imagined.step(BatchShape(samples, 50, 10, 3), checkpointing=False) for samples in (1, 4))
    assert four.training_flops == pytest.approx(4 * one.training_flops)
    assert four.vision_flops == pytest.approx(4 * one.vision_flops)
    # Two operations a weight and token forwards, at least as many back again.
    weights = imagined.parameters - imagined.config.get_text_config().vocab_size * 64
    assert one.training_flops > 2 * 2 * 50 * (weights - 40_000)


def test_a_plan_counts_samples_steps_and_tokens(recipe, settings):
    plan = make_plan(with_changes(recipe, model__base="tiny-llava-1.6", data__samples_per_city=10), settings)
    assert plan.samples == {"train": 30, "validation": 9, "test": 12}
    assert plan.optimizer_steps == 4 * 2
    assert plan.image_tokens == 88
    assert plan.tokens < plan.longest
    assert plan.features_gib * 2**30 == 88 * 64 * 4 * 30
    assert plan.hours > 0


def test_it_counts_posts_that_are_cut_and_plans_for_the_longest(recipe, settings):
    whole, cut = (
        make_plan(with_changes(recipe, model__base="tiny-llava", data__max_post_tokens=most), settings)
        for most in (256, 16)
    )
    assert (whole.cut_posts, cut.cut_posts) == (0, 48)
    assert (whole.max_post_tokens, cut.max_post_tokens) == (256, 16)
    assert (
        "posts: the model learns at most 16 tokens of each; 48 are longer, and the ends of their captions are cut"
        in cut.describe()
    )
    assert cut.longest < whole.longest
    assert cut.memory_gib.activations < whole.memory_gib.activations


def test_validation_is_part_of_what_it_takes(recipe, settings):
    def plan(**changes):
        return make_plan(with_changes(recipe, model__base="tiny-llava", **changes), settings)

    all_of_it, some, often = plan(), plan(data__max_validation_samples=3), plan(training__eval_steps=1)
    assert (all_of_it.validation_samples, some.validation_samples) == (9, 3)
    assert (all_of_it.validations, often.validations) == (2, 12)
    bare = all_of_it.petaflops * (1 - all_of_it.validation_share)
    assert some.petaflops * (1 - some.validation_share) == pytest.approx(bare)
    assert some.petaflops - bare == pytest.approx((all_of_it.petaflops - bare) / 3)
    # Features of the photos are kept, so that only the reading comes again.
    assert all_of_it.validation_share < often.validation_share < 6 * all_of_it.validation_share
    assert "validation: 3 photos, 2 times: " in some.describe()


def test_it_tells_how_often_feedback_is_repeated(recipe, settings, tmp_path):
    write_dataset(tmp_path / "feedback", {"train": 6, "validation": 3, "test": 3}, seed=9)
    mixed = with_changes(recipe, data__feedback={"uri": str(tmp_path / "feedback"), "share": 0.2})
    plan = make_plan(with_changes(mixed, model__base="tiny-llava"), settings)
    assert (plan.feedback_samples, plan.feedback_repeats) == (12, 2.0)
    assert plan.feedback_version == "d00000000009"
    assert plan.optimizer_steps == -(-60 // 8) * 2


def test_weights_in_4_bits_are_a_quarter_but_for_what_sees(families_dir, recipe):
    imagined = FakeTensorModel(load_config("tiny-llava-1.5", families_dir), recipe.model.lora, "bfloat16")
    quantized = 2 * (4 * 64 * 64 + 3 * 64 * 128)
    saved = imagined.weight_bytes(in_4bit=False) - imagined.weight_bytes(in_4bit=True)
    assert saved == pytest.approx(quantized * (2 - 0.5 - 0.127 / 8))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model__lora__target_modules": r".*multi_modal_projector\.linear_1"},
         "target_modules trains .*multi_modal_projector.linear_1, so vision features"),
        ({"model__lora__target_modules": "q_proj"}, "matches no linear layer"),
        ({"training__precision": "float16"}, "float16 needs a GPU"),
        ({"model__base": "no-such-base"}, "neither in .* nor on the model hub"),
    ],
)  # fmt: skip
def test_what_does_not_fit_base_or_machine_is_told(recipe, settings, changes, message):
    if "training__precision" in changes and torch.cuda.is_available():
        pytest.skip("float16 is fine here")
    with pytest.raises(UserError, match=message) as caught:
        check_model(with_changes(recipe, **changes), settings)
    assert "\n" not in str(caught.value)


def test_what_is_trained_before_the_features_is_found(recipe, settings):
    family = FAMILIES["tiny-smolvlm"]
    targets = f"{family.language}|{family.vision}"
    sees = with_changes(
        recipe, model__base=family.name, model__lora__target_modules=targets, training__feature_cache_gib=0
    )
    assert "vision_model" in check_model(sees, settings).trains_vision


def test_this_machines_speed_is_measured():
    device, speed = measure_throughput("float32")
    assert device
    assert speed > 1e8


def test_the_command_prints_a_recipe_and_loads_no_weights(recipe, families_dir, tmp_path):
    models = tmp_path / "models"
    models.mkdir()
    for file in (families_dir / "tiny-llava").iterdir():
        (models / "tiny-llava").mkdir(exist_ok=True)
        content = b"no weights" if file.suffix == ".safetensors" else file.read_bytes()
        (models / "tiny-llava" / file.name).write_bytes(content)
    (tmp_path / "recipe.yaml").write_text(recipe.dump())
    environment = {"SNAP2CAPTION_MODELS_DIR": str(models), "SNAP2CAPTION_STATE_DIR": str(tmp_path), "PATH": ""}
    command = [sys.executable, "-m", "snap2caption", "train", "--config", str(tmp_path / "recipe.yaml"), "--dry-run"]
    finished = forks.run_command(command, environment)
    assert finished.returncode == 0, finished.stderr
    assert Recipe.model_validate(yaml.safe_load(finished.stdout)) == recipe
    assert re.search(r"^# optimizer steps: 12$", finished.stdout, re.MULTILINE)
    assert re.search(r"^# memory: [\d.]+ GiB = base", finished.stdout, re.MULTILINE)
