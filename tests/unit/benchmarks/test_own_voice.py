"""Own-voice benchmark in small: by the shipped recipe, a real base learns a person's habit from few posts."""

from pathlib import Path

import pytest

from benchmarks.training.own_voice import BASE, MEASURES, ON_BASE, measure, unseen_scenes, write_captions
from demo.corpus.creator import make_post
from snap2caption.datasets.shards import Sample
from snap2caption.post import parse
from snap2caption.settings import Settings
from snap2caption.vlm import load
from training.fit.finetune import finetune
from training.recipes.loading import load_recipe

pytestmark = pytest.mark.unit

HABIT = MEASURES.index("habit")
SCENES = unseen_scenes(6)
POSTS, HELD_OUT, EPOCHS = 40, 4, 5


def posts(numbers: range) -> list[Sample]:
    pairs = [make_post(0, number) for number in numbers]
    return [Sample(pair.id, "posts", parse(pair.caption.decode()), pair.image) for pair in pairs]


def test_the_recipe_teaches_a_habit_that_the_base_lacks(tmp_path: Path) -> None:
    settings = Settings()
    short = (f"training.num_train_epochs={EPOCHS}", "training.threads=1")
    recipe = load_recipe(settings.configs_dir / "own-voice.yaml", [*ON_BASE, *short])
    vlm = load(BASE, settings.models_dir)
    assert not measure(SCENES, write_captions(vlm, SCENES))[:, HABIT].any()
    losses: list[float] = []

    def report(metrics: dict[str, float], _: int) -> None:
        losses.extend(value for name, value in metrics.items() if name == "validation/loss")

    finetune(vlm, posts(range(POSTS)), posts(range(POSTS, POSTS + HELD_OUT)), recipe, tmp_path, report)
    assert min(losses) < losses[0]
    assert measure(SCENES, write_captions(vlm, SCENES))[:, HABIT].mean() >= 0.5
