import dataclasses

import pytest
import torch
from PIL import Image

from snap2caption.post import Post, render
from training.data.collator import IGNORED, SampleCollator, label
from training.data.samples import evaluation_prompt

pytestmark = pytest.mark.unit


@pytest.fixture
def collate(load_tiny):
    return SampleCollator(load_tiny(), evaluation_prompt)


@pytest.fixture
def batch(collate, dataset):
    first, second = dataset.samples("test")[:2]
    # Of different lengths, so that one is padded.
    return collate([first, dataclasses.replace(second, post=Post("Short.", ("tiny",)))])


def test_exactly_the_answer_and_its_end_are_learned(collate, batch, dataset):
    tokenizer = collate.tokenizer
    for row, answer in zip(batch["labels"], [render(dataset.samples("test")[0].post), "Short.\n#tiny"], strict=True):
        learned = tokenizer.decode(row[row != IGNORED])
        assert learned == f" {answer}</s>"


def test_labels_stand_at_their_own_tokens(batch):
    learned = batch["labels"] != IGNORED
    assert torch.equal(batch["labels"][learned], batch["input_ids"][learned])


def test_the_answer_follows_the_prompt_that_serving_gives(collate, batch, dataset):
    tokenizer = collate.tokenizer
    sample = dataset.samples("test")[0]
    served = collate.vlm.inputs([Image.new("RGB", (50, 50))], [evaluation_prompt(sample)])
    asked = served["input_ids"][0]
    assert torch.equal(batch["input_ids"][0, : len(asked)], asked)
    assert (batch["labels"][0, : len(asked)] == IGNORED).all()
    assert batch["labels"][0, len(asked)] != IGNORED
    assert tokenizer.decode(asked).endswith("ASSISTANT:")


def test_padding_is_on_the_right_and_carries_nothing(collate, batch):
    padded = batch["attention_mask"] == 0
    assert padded.any()
    assert (batch["input_ids"][padded] == collate.tokenizer.pad_token_id).all()
    assert (batch["labels"][padded] == IGNORED).all()
    assert (batch["attention_mask"].diff(dim=1) <= 0).all()


def test_every_picture_has_its_tokens(collate, batch):
    token = collate.vlm.model.config.image_token_id
    assert (batch["input_ids"] == token).sum(dim=1).tolist() == [49, 49]


def test_labels_by_hand():
    ids = torch.tensor([[5, 6, 7, 8, 0], [5, 6, 7, 8, 9]])
    labels = label(ids, torch.tensor([4, 5]), torch.tensor([2, 1]))
    assert labels.tolist() == [[-100, -100, 7, 8, -100], [-100, -100, -100, -100, 9]]


def test_of_a_long_caption_as_much_is_learned_as_is_set(load_tiny, dataset):
    vlm = load_tiny()
    sample = dataset.samples("test")[0]
    long = dataclasses.replace(sample, post=Post("the light is kind in chicago today. " * 570, sample.post.hashtags))
    collate = SampleCollator(vlm, evaluation_prompt, 64)
    assert collate.is_cut(long.post)
    assert not collate.is_cut(sample.post)
    batch = collate([long, sample])
    (learned, whole) = (row[row != IGNORED] for row in batch["labels"])
    # With the end token, and a space before the first word.
    assert 48 < len(learned) <= 64 + 2
    assert collate.tokenizer.decode(learned).endswith(
        f"today.\n{' '.join(f'#{tag}' for tag in sample.post.hashtags)}</s>"
    )
    assert collate.tokenizer.decode(whole) == f" {render(sample.post)}</s>"


def test_whatever_is_set_the_context_is_kept(load_tiny, dataset):
    vlm = load_tiny()
    sample = dataset.samples("test")[0]
    long = dataclasses.replace(sample, post=Post("the light is kind in chicago today. " * 570, sample.post.hashtags))
    batch = SampleCollator(vlm, evaluation_prompt)([long])
    assert 0.9 * vlm.context < batch["input_ids"].shape[1] <= vlm.context
    assert batch["labels"][0, -1] == vlm.processor.tokenizer.eos_token_id
