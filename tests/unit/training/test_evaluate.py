import io

import pytest
from PIL import Image

from snap2caption.post import render
from training.evaluate import Evaluation, conditions_of, evaluate
from training.finetune import finetune
from training.pictures import choose_rows, draw_grid

pytestmark = pytest.mark.unit


@pytest.fixture
def base(load_tiny, dataset, recipe):
    return evaluate(load_tiny(), dataset, conditions_of(dataset, (), recipe.evaluation), "base:tiny-llava")


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
    assert base.seconds_per_caption > 0
    assert Evaluation.model_validate_json(base.model_dump_json()) == base


def test_what_was_learned_shows(base, load_tiny, dataset, recipe, tmp_path):
    longer = recipe.model_copy(
        update={"optimiser": recipe.optimiser.model_copy(update={"epochs": 12, "learning_rate": 2e-2, "batch_size": 8})}
    )
    vlm = load_tiny()
    finetune(vlm, dataset.samples("train"), dataset.samples("validation"), longer, tmp_path / "work", lambda *_: None)
    tuned = evaluate(vlm, dataset, conditions_of(dataset, (), recipe.evaluation), "run:x")
    assert tuned.loss < base.loss - 1
    assert tuned.overall.cider > base.overall.cider + 0.2
    again = evaluate(vlm, dataset, conditions_of(dataset, (), recipe.evaluation), "run:x")
    assert (again.loss, again.rows, again.overall) == (tuned.loss, tuned.rows, tuned.overall)


def test_a_part_of_the_split_is_the_same_part_each_time(load_tiny, dataset, recipe):
    few = recipe.evaluation.model_copy(update={"max_samples": 5, "max_new_tokens": 4})
    conditions = conditions_of(dataset, ("chicago", "newyork"), few)
    one, two = (evaluate(load_tiny(), dataset, conditions, "base") for _ in range(2))
    assert len(one.rows) == 5
    assert one.rows == two.rows
    assert {row.city for row in one.rows} <= {"chicago", "newyork"}


def test_metrics_have_names_by_split_and_city(base):
    metrics = base.metrics()
    assert metrics["test/loss"] == base.loss
    assert metrics["test/cider"] == base.overall.cider
    assert metrics["city/chicago/cider"] == base.cities["chicago"].cider


def test_the_picture_shows_best_to_worst(base, dataset):
    rows = choose_rows(base, 5)
    assert len({row.id for row in rows}) == 5
    assert [row.cider for row in rows] == sorted((row.cider for row in rows), reverse=True)
    assert len(choose_rows(base, 100)) == 12
    picture = Image.open(io.BytesIO(draw_grid(rows, dataset.samples("test"))))
    assert picture.size == (1280, 3 * 224)
    # The first photo is where it should be.
    assert picture.getpixel((100, 100)) != (255, 255, 255)
