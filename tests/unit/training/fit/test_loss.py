import dataclasses
from functools import partial

import pytest
import torch

from snap2caption.errors import UserError
from snap2caption.post import Post
from training.data.collator import EncodedCollator, SampleCollator
from training.data.samples import evaluation_prompt, training_prompt
from training.data.vision_features import cacheable, check_image_tokens, encode
from training.fit.finetune import finetune
from training.fit.lora import add_adapter
from training.fit.loss import answer_loss, mean_answer_loss

pytestmark = pytest.mark.unit


@pytest.fixture
def vlm(load_tiny):
    return load_tiny()


@pytest.fixture
def collate(vlm):
    return SampleCollator(vlm, evaluation_prompt)


@pytest.fixture
def samples(dataset):
    samples = dataset.samples("test")[:6]
    return [dataclasses.replace(samples[0], post=Post("Short.")), *samples[1:]]


def test_it_is_the_models_own_loss(vlm, collate, samples):
    batch = collate(samples)
    loss, tokens = answer_loss(vlm.model, batch)
    assert tokens == int((batch["labels"] != -100).sum())
    assert loss.item() / tokens == pytest.approx(vlm.model(**batch).loss.item(), rel=1e-5)


def test_labels_off_by_one_would_be_noticed(vlm, collate, samples):
    batch = collate(samples)
    right, tokens = answer_loss(vlm.model, batch)
    shifted, _ = answer_loss(vlm.model, batch | {"labels": batch["labels"].roll(1, dims=1)})
    assert abs(right.item() - shifted.item()) / tokens > 1e-3


def test_prompt_tokens_do_not_count(vlm, collate, samples):
    batch = collate(samples)
    everything = batch | {"labels": batch["input_ids"]}
    assert answer_loss(vlm.model, everything)[1] > 2 * answer_loss(vlm.model, batch)[1]


def test_padding_does_not_leak(vlm, collate, samples):
    together = answer_loss(vlm.model, collate(samples))
    alone = [answer_loss(vlm.model, collate([sample])) for sample in samples]
    assert together[1] == sum(tokens for _, tokens in alone)
    assert together[0].item() == pytest.approx(sum(loss.item() for loss, _ in alone), rel=1e-5)
    assert mean_answer_loss(vlm.model, [collate(samples)]) == pytest.approx(together[0].item() / together[1], rel=1e-6)


def test_the_pictures_reach_the_model(vlm, collate, samples):
    batch = collate(samples)
    shuffled = batch | {"pixel_values": batch["pixel_values"].roll(1, dims=0)}
    assert answer_loss(vlm.model, batch)[0].item() != answer_loss(vlm.model, shuffled)[0].item()


def test_features_computed_once_give_the_same_loss(vlm, samples):
    collate = SampleCollator(vlm, partial(training_prompt, seed=0))
    encoded = encode(vlm, collate, samples, batch_size=4)
    batch = EncodedCollator(vlm.processor.tokenizer.pad_token_id)(encoded)
    with_pixels = collate(samples)
    for name in ("input_ids", "attention_mask", "labels"):
        assert torch.equal(batch[name], with_pixels[name])
    assert answer_loss(vlm.model, batch)[0].item() == pytest.approx(
        answer_loss(vlm.model, with_pixels)[0].item(), rel=1e-5
    )


@pytest.mark.parametrize(
    ("targets", "limit", "expected"),
    [
        (r".*language_model.*\.q_proj", 1.0, True),
        (r".*language_model.*\.q_proj", 0.0, False),
        (r".*(language_model.*\.q_proj|multi_modal_projector\.linear_1)", 1.0, False),
        (r".*vision_tower.*\.q_proj", 1.0, False),
    ],
)
def test_features_are_kept_while_nothing_before_is_trained(vlm, collate, samples, recipe, targets, limit, expected):
    vlm.model = add_adapter(vlm.model, recipe.model.lora.model_copy(update={"target_modules": targets}))
    assert cacheable(vlm, collate, samples, limit) is expected


def test_a_wrong_number_of_image_tokens_is_found_at_the_start(vlm, collate, samples):
    check_image_tokens(vlm, collate, samples[0])
    vlm.processor.num_additional_image_tokens = 0
    with pytest.raises(UserError, match="writes 48 image tokens, but the model has 49"):
        check_image_tokens(vlm, collate, samples[0])
    # All photos of this model have as many tokens, so encoding them is the check.
    check_image_tokens(vlm, collate, samples[0], as_it_is=False)
    with pytest.raises(UserError, match="writes 96 image tokens, but the model has 98"):
        encode(vlm, collate, samples[:2], batch_size=2)


def test_the_tower_sees_each_photo_once(vlm, samples, recipe, tmp_path):
    seen = []
    vlm.model.model.vision_tower.register_forward_hook(
        lambda _, images, named, __: seen.append(len(named.get("pixel_values", *images))), with_kwargs=True
    )
    training = recipe.training.model_copy(update={"num_train_epochs": 3, "feature_cache_gib": 1.0})
    recipe = recipe.model_copy(update={"training": training})
    finetune(vlm, samples[1:], samples[:1], recipe, tmp_path, lambda *_: None)
    assert sum(seen) == len(samples)
