import gc
import io
import json
import weakref
from collections import Counter
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image

from snap2caption.datasets.shards import Sample
from snap2caption.errors import UserError
from snap2caption.post import Post, render
from snap2caption.vlm import VisionLanguageModel
from training.data.samples import chunks, evaluation_prompt
from training.evaluation.bootstrap import Bootstrap
from training.evaluation.evaluate import Evaluation, conditions_of, evaluate, order_for_batching, write_captions
from training.evaluation.sample_pictures import choose_rows, draw_grid
from training.fit.finetune import finetune

pytestmark = pytest.mark.unit


@pytest.fixture
def base(load_tiny, dataset, recipe):
    return evaluate(load_tiny(), dataset, conditions_of(dataset, (), recipe.evaluation, "float32"), "base:tiny-llava")


def test_every_photo_is_captioned_and_scored(base, dataset):
    samples = dataset.samples("test")
    assert [row.id for row in base.rows] == [sample.id for sample in samples]
    assert [row.reference for row in base.rows] == [render(sample.post) for sample in samples]
    assert base.overall.samples == 12
    assert {city: scores.samples for city, scores in base.cities.items()} == {
        "chicago": 4,
        "newyork": 4,
        "sanfrancisco": 4,
    }
    assert {tone: scores.samples for tone, scores in base.tones.items()} == Counter(row.tone for row in base.rows)
    assert min(base.seconds_per_caption, base.captions_per_second, base.tokens_per_second) > 0
    assert Evaluation.read(base.model_dump_json().encode()) == base


def test_what_earlier_code_measured_is_not_read(base):
    document = base.model_dump(mode="json")
    del document["overall"]["format_valid"]
    assert Evaluation.read(json.dumps(document).encode()) is None


def colored(number, size, caption):
    stream = io.BytesIO()
    Image.new("RGB", size, (number * 20, 90, 200 - number * 20)).save(stream, "PNG")
    return Sample(str(number), "chicago", Post(caption, ("chicago",)), stream.getvalue())


def test_batches_hold_what_is_alike_and_answers_come_in_order(load_tiny, recipe):
    minimal, plain = "Fog, dawn.", "This is a quiet evening above the river."
    sizes = [(60, 40), (90, 90)]
    samples = [colored(number, sizes[number % 2], [minimal, plain][number // 2 % 2]) for number in range(8)]
    order = order_for_batching(samples)
    assert sorted(order) == list(range(8))
    # The large ones first, and in each batch one size and one prompt.
    assert order[0] % 2 == 1
    for batch in chunks(order, 2):
        assert len({(position % 2, evaluation_prompt(samples[position])) for position in batch}) == 1
    vlm, settings = load_tiny(), recipe.evaluation.model_copy(update={"batch_size": 3})
    together = write_captions(vlm, samples, settings)
    one_by_one = write_captions(vlm, samples, settings.model_copy(update={"batch_size": 1}))
    assert together.written == one_by_one.written
    assert len({answer.text for answer in together.written}) > 1
    assert sum(captions for captions, _ in together.batches) == 8


class Watched(VisionLanguageModel):
    """Counts the photos that are in memory while it writes."""

    seen: ClassVar[list[weakref.ref]] = []
    most: ClassVar[int] = 0

    def generate(self, images, prompts, decoding):
        Watched.seen += map(weakref.ref, images)
        gc.collect()
        Watched.most = max(Watched.most, sum(photo() is not None for photo in Watched.seen))
        return super().generate(images, prompts, decoding)


def test_photos_are_let_go_of_batch_by_batch(load_tiny, recipe):
    vlm = load_tiny()
    settings = recipe.evaluation.model_copy(update={"batch_size": 4, "max_new_tokens": 2})
    samples = [colored(number % 10, (40, 40), "Fog.") for number in range(20)]
    write_captions(Watched(vlm.model, vlm.processor, vlm.base, vlm.revision), samples, settings)
    assert len(Watched.seen) == 20
    # Those of a batch, and those of the one before until they are replaced.
    assert Watched.most <= 8


class Overfull(VisionLanguageModel):
    """As a GPU whose memory does not suffice: there is none here."""

    def generate(self, *_):
        raise torch.OutOfMemoryError("CUDA out of memory.")


def test_too_large_a_batch_is_one_sentence(load_tiny, dataset, recipe):
    vlm = load_tiny()
    full = Overfull(vlm.model, vlm.processor, vlm.base, vlm.revision)
    with pytest.raises(UserError, match=r"A batch of 6 photos does not fit .*; lower evaluation.batch_size"):
        evaluate(full, dataset, conditions_of(dataset, (), recipe.evaluation, "float32"), "base")


def test_what_was_learned_shows(base, load_tiny, dataset, recipe, tmp_path):
    longer = recipe.model_copy(
        update={
            "training": recipe.training.model_copy(
                update={"num_train_epochs": 12, "learning_rate": 2e-2, "global_micro_batch_size": 8}
            )
        }
    )
    vlm = load_tiny()
    finetune(vlm, dataset.samples("train"), dataset.samples("validation"), longer, tmp_path / "work", lambda *_: None)
    tuned = evaluate(vlm, dataset, conditions_of(dataset, (), recipe.evaluation, "float32"), "run:x")
    assert tuned.loss < base.loss - 1
    gains = np.array([after.cider - before.cider for after, before in zip(tuned.rows, base.rows, strict=True)])
    assert Bootstrap(confidence=0.99).mean(gains).low > 0
    again = evaluate(vlm, dataset, conditions_of(dataset, (), recipe.evaluation, "float32"), "run:x")
    assert (again.loss, again.rows, again.overall) == (tuned.loss, tuned.rows, tuned.overall)


def test_what_all_share_is_rare_beside_another_dataset(load_tiny, dataset, recipe):
    conditions = conditions_of(dataset, (), recipe.evaluation, "float32")
    habit = [colored(9, (60, 40), f"Nobody else says this {number}.") for number in range(12)]
    alone = evaluate(load_tiny(), dataset, conditions, "m")
    beside = evaluate(load_tiny(), dataset, conditions, "m", [replace(one, id=f"h{n}") for n, one in enumerate(habit)])
    assert [row.id for row in beside.rows] == [row.id for row in alone.rows]
    assert [row.hypothesis for row in beside.rows] == [row.hypothesis for row in alone.rows]
    assert beside.overall.bleu_1 == alone.overall.bleu_1
    assert beside.overall.cider != alone.overall.cider


def test_a_part_of_the_split_is_the_same_part_each_time(load_tiny, dataset, recipe):
    few = recipe.evaluation.model_copy(update={"max_samples": 5, "max_new_tokens": 4})
    conditions = conditions_of(dataset, ("chicago", "newyork"), few, "float32")
    one, two = (evaluate(load_tiny(), dataset, conditions, "base") for _ in range(2))
    assert len(one.rows) == 5
    assert one.rows == two.rows
    assert {row.city for row in one.rows} <= {"chicago", "newyork"}


def test_metrics_have_names_by_split_and_city(base):
    metrics = base.metrics()
    assert metrics["test/loss"] == base.loss
    assert metrics["test/cider"] == base.overall.cider
    assert metrics["city/chicago/cider"] == base.cities["chicago"].cider
    tone = base.rows[0].tone
    assert metrics[f"tone/{tone}/format_valid"] == base.tones[tone].format_valid
    assert metrics["test/people/tone_adherence"] == 1.0
    assert metrics["test/tokens"] == base.tokens
    assert metrics["city/chicago/tokens"] == pytest.approx(
        sum(row.tokens for row in base.rows if row.city == "chicago") / 4
    )
    # An interval takes more than the four photos of a city.
    assert set(base.overall.metrics()) - {"cider_low", "cider_high"} == {
        name.removeprefix("city/chicago/") for name in metrics if name.startswith("city/chicago")
    } - {"tokens"}
    assert all(isinstance(value, float) for value in metrics.values())


def test_the_picture_shows_best_to_worst(base, dataset):
    rows = choose_rows(base, 5)
    assert len({row.id for row in rows}) == 5
    assert [row.cider for row in rows] == sorted((row.cider for row in rows), reverse=True)
    assert len(choose_rows(base, 100)) == 12
    picture = Image.open(io.BytesIO(draw_grid(rows, dataset.samples("test"))))
    assert picture.size == (1280, 3 * 224)
    # The first photo is where it should be.
    assert picture.getpixel((100, 100)) != (255, 255, 255)
