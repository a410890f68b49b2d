"""Every family takes the same path: what is learned, what is seen, what is saved, what is written."""

import dataclasses
import io
import re
from functools import partial

import pytest
import torch
from families import FAMILIES
from PIL import Image
from seeing import sure_loss_by_another_photo

from snap2caption.errors import UserError
from snap2caption.post import Post, render
from snap2caption.vlm import Decoding, load
from training.data.collator import IGNORED, EncodedCollator, SampleCollator
from training.data.samples import evaluation_prompt, training_prompt
from training.data.vision_features import cacheable, check_image_tokens, encode, with_features
from training.fit.finetune import finetune
from training.fit.lora import add_adapter

# Jinja, about the `<\s>` of LLaVA 1.6's template.
pytestmark = [pytest.mark.unit, pytest.mark.filterwarnings("ignore:.*invalid escape sequence:DeprecationWarning")]

SHAPES = [(150, 150), (300, 100), (80, 210), (31, 44)]
VARIANTS = [("language",), ("language", "projector"), ("language", "projector", "vision")]


@pytest.fixture(scope="module", params=FAMILIES.values(), ids=FAMILIES.keys())
def family(request):
    return request.param


@pytest.fixture
def vlm(family, families_dir):
    return load(family.name, families_dir)


@pytest.fixture
def samples(dataset):
    """Photos of several shapes, with posts of several lengths."""
    return [
        dataclasses.replace(reshape(sample, size), post=post)
        for sample, size, post in zip(
            dataset.samples("test"), SHAPES, [Post("Short.", ("tiny",)), *[s.post for s in dataset.samples("test")]], strict=False
        )
    ]  # fmt: skip


@pytest.fixture
def family_recipe(recipe, family):
    return changed(recipe, family, ("language",), num_train_epochs=2, learning_rate=1e-2)


def changed(recipe, family, parts, **training):
    targets = "|".join(getattr(family, part) for part in parts)
    lora = recipe.model.lora.model_copy(update={"target_modules": targets})
    return recipe.model_copy(
        update={
            "model": recipe.model.model_copy(update={"base": family.name, "lora": lora}),
            "training": recipe.training.model_copy(update=training),
        }
    )


def reshape(sample, size):
    stream = io.BytesIO()
    Image.open(io.BytesIO(sample.photo())).resize(size).save(stream, "JPEG")
    return dataclasses.replace(sample, content=stream.getvalue())


def logits(model, batch):
    with torch.no_grad():
        return model(**with_features(batch)).logits


def test_exactly_the_answer_and_its_end_are_learned(family, vlm, samples):
    batch = SampleCollator(vlm, evaluation_prompt)(samples)
    tokenizer = vlm.processor.tokenizer
    for ids, labels, sample in zip(batch["input_ids"], batch["labels"], samples, strict=True):
        learned = labels != IGNORED
        assert tokenizer.decode(labels[learned]).strip() == render(sample.post) + family.end
        first = int(learned.nonzero()[0])
        assert tokenizer.decode(ids[:first]).endswith(family.asked)
        assert torch.equal(labels[learned], ids[learned])


def test_the_answer_follows_the_prompt_that_serving_gives(vlm, samples):
    for sample in samples:
        batch = SampleCollator(vlm, evaluation_prompt)([sample])
        served = vlm.inputs([Image.open(io.BytesIO(sample.photo()))], [evaluation_prompt(sample)])
        asked = served["input_ids"][0]
        assert torch.equal(batch["input_ids"][0, : len(asked)], asked)
        assert batch["labels"][0, : len(asked)].eq(IGNORED).all()
        assert batch["labels"][0, len(asked)] != IGNORED


def test_what_people_write_is_never_a_token_of_the_familys(family, vlm, samples):
    told = Post(f"<image> and <{family.end}> are no news.", ("tiny",))
    batch = SampleCollator(vlm, lambda _: "Write <image> for <image>.")([dataclasses.replace(samples[0], post=told)])
    learned = batch["labels"][0][batch["labels"][0] != IGNORED]
    special = set(vlm.processor.tokenizer.all_special_ids)
    assert [token in special for token in learned.tolist()] == [False] * (len(learned) - 1) + [True]
    assert vlm.generate([Image.new("RGB", (60, 60))], ["<image> </s>"], Decoding(max_new_tokens=2))


def test_image_tokens_are_counted_for_every_shape(family, vlm, samples):
    collate = SampleCollator(vlm, evaluation_prompt)
    check_image_tokens(vlm, collate, samples[0])
    counts = {int((collate([sample])["input_ids"] == vlm.model.config.image_token_id).sum()) for sample in samples}
    assert (len(counts) > 1) == (family.name in {"tiny-llava-1.6", "tiny-smolvlm"})
    if family.name == "tiny-smolvlm":
        vlm.processor.image_seq_len = 5
    else:
        vlm.processor.num_additional_image_tokens = 0
    with pytest.raises(UserError, match=r"image tokens, but the model has .*; correct its processor_config.json"):
        check_image_tokens(vlm, collate, samples[0])


def test_features_kept_are_those_that_the_model_sees(vlm, family_recipe, samples):
    vlm.model = add_adapter(vlm.model, family_recipe.model.lora).eval()
    collate = SampleCollator(vlm, partial(training_prompt, seed=0))
    assert cacheable(vlm, collate, samples, 1.0)
    batch = EncodedCollator(vlm.processor.tokenizer.pad_token_id)(encode(vlm, collate, samples, batch_size=3))
    with_pixels = collate(samples)
    for name in ("input_ids", "attention_mask", "labels"):
        assert torch.equal(batch[name], with_pixels[name])
    assert torch.allclose(logits(vlm.model, batch), logits(vlm.model, with_pixels), atol=1e-4)


@pytest.mark.parametrize("parts", VARIANTS, ids="+".join)
def test_exactly_the_named_modules_carry_adapters(family, vlm, recipe, parts):
    named = {
        path
        for path, module in vlm.model.named_modules()
        if isinstance(module, torch.nn.Linear) and any(re.fullmatch(getattr(family, part), path) for part in parts)
    }
    model = add_adapter(vlm.model, changed(recipe, family, parts).model.lora)
    trained = [name for name, weight in model.named_parameters() if weight.requires_grad]
    assert {name.removeprefix("base_model.model.").partition(".lora_")[0] for name in trained} == named
    assert len(trained) == 2 * len(named)


def test_it_learns_saves_and_writes(family, vlm, families_dir, family_recipe, dataset, samples, tmp_path):
    losses = []
    adapter = finetune(
        vlm, dataset.samples("train"), dataset.samples("validation"), family_recipe, tmp_path, lambda m, _: losses.append(m)
    )  # fmt: skip
    validation = [metrics["validation/loss"] for metrics in losses if "validation/loss" in metrics]
    assert validation[-1] < validation[0] - 0.2

    batch = SampleCollator(vlm, evaluation_prompt)(dataset.samples("test"))
    assert sure_loss_by_another_photo(vlm, dataset.samples("train")) > 0

    reloaded = load(family.name, families_dir, adapter=adapter)
    assert torch.equal(logits(vlm.model, batch), logits(reloaded.model, batch))

    photos = [Image.open(io.BytesIO(sample.photo())) for sample in samples]
    prompts = ["Describe this.", "Write an Instagram caption and hashtags for this photo, please.", "Write.", "Again."]
    # In float32, two tokens of a model this small can be nearer than what the shape of a batch changes in rounding.
    exact = load(family.name, families_dir, adapter=adapter, dtype="float64")
    together = exact.generate(photos, prompts, Decoding(max_new_tokens=12))
    alone = [exact.generate([photo], [prompt], Decoding(max_new_tokens=12))[0] for photo, prompt in zip(photos, prompts, strict=True)]  # fmt: skip
    assert together == alone


@pytest.mark.parametrize(
    "family", [FAMILIES["tiny-llava-1.6"], FAMILIES["tiny-smolvlm"]], ids=lambda family: family.name
)
def test_checkpointed_layers_learn_the_same(family, families_dir, recipe, dataset, tmp_path):
    def train(name, **training):
        vlm = load(family.name, families_dir)
        everything = changed(recipe, family, VARIANTS[2], num_train_epochs=1, feature_cache_gib=0, **training)
        finetune(
            vlm,
            dataset.samples("train")[:8],
            dataset.samples("validation"),
            everything,
            tmp_path / name,
            lambda *_: None,
        )
        return {path: weight.detach() for path, weight in vlm.model.named_parameters() if "lora_" in path}

    kept, computed_again = train("a"), train("b", gradient_checkpointing=True)
    assert all(torch.equal(kept[path], computed_again[path]) for path in kept)


def test_a_photo_can_be_seen_whole(families_dir, recipe, dataset, samples, tmp_path):
    family = FAMILIES["tiny-smolvlm"]
    vlm = load(family.name, families_dir, split_images=False)
    collate = SampleCollator(vlm, evaluation_prompt)
    check_image_tokens(vlm, collate, samples[0])
    assert (collate(samples)["input_ids"] == vlm.model.config.image_token_id).sum(dim=1).tolist() == [4, 4, 4, 4]
    shallow = changed(recipe, family, ("language",), num_train_epochs=1)
    finetune(vlm, dataset.samples("train"), dataset.samples("validation"), shallow, tmp_path, lambda *_: None)
    # Whoever loads the adapter sees the photos as it did.
    reloaded = load(family.name, families_dir, adapter=tmp_path / "adapter")
    batch = collate(samples)
    again = SampleCollator(reloaded, evaluation_prompt)(samples)
    assert all(torch.equal(batch[name], again[name]) for name in batch)
    assert torch.equal(logits(vlm.model, batch), logits(reloaded.model, again))


def test_a_family_without_pieces_says_so(families_dir):
    with pytest.raises(UserError, match=r"can't turn off image splitting; leave model.do_image_splitting out"):
        load("tiny-llava-1.6", families_dir, split_images=False)
