"""Processes that train together, on the processor. Under the launchers: tests/integration/training/test_launch.py."""

from pathlib import Path

import pytest
import torch
from patience import LONGEST, until
from safetensors.torch import load_file
from tiny import recipe_content, write_dataset
from training_process import reports, start, start_together

from demo.stack.ports import Ports
from training.recipes.recipe import Recipe

pytestmark = pytest.mark.unit

WEIGHTS = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def odd_dataset(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A dataset whose last batch of eight has a single sample: one of two processes has nothing of it."""
    folder = tmp_path_factory.mktemp("datasets") / "odd"
    write_dataset(folder, {"train": [20, 21], "validation": 9, "test": 3})
    return folder.as_uri()


@pytest.fixture
def write_recipe(odd_dataset: str):
    def write(
        data: dict[str, object] | None = None, dropout: float = 0.0, checkpoints: str | None = None, **training: object
    ) -> str:
        content = recipe_content(odd_dataset)
        content["data"] = {**content["data"], **(data or {})}
        content["model"]["lora"]["lora_dropout"] = dropout
        content["launcher"] = {"checkpoints": checkpoints}
        content["training"] = {**content["training"], "learning_rate": 2e-3, **training}
        return Recipe.model_validate(content).dump()

    return write


def free_port(folder: Path) -> int:
    return Ports(folder / "ports.json").get("together")


def train_in(
    work_dirs: list[Path], recipe: str, models_dir: Path, initial: Path | None = None
) -> list[tuple[int, dict[str, float]]]:
    """Train to the end in a process for each of *work_dirs*; return what the first one reported."""
    started = (
        [start(recipe, models_dir, work_dirs[0], initial=initial)]
        if len(work_dirs) == 1
        else start_together(recipe, models_dir, work_dirs, free_port(work_dirs[0].parent), initial)
    )
    for process in started:
        process.join(LONGEST)
    assert [process.exitcode for process in started] == [0] * len(work_dirs)
    return reports(work_dirs[0])


@pytest.mark.parametrize(
    ("data", "training"),
    [
        pytest.param({}, {}, id="features"),
        pytest.param(
            {"stream": True}, {"gradient_accumulation_steps": 2, "num_train_epochs": 4}, id="stream, accumulated"
        ),
    ],
)
def test_two_processes_have_the_loss_curve_of_one(write_recipe, models_dir, tmp_path, data, training):
    # Without dropout, which draws other masks on other processes.
    recipe = write_recipe(data, **training)
    one, two = (train_in([tmp_path / str(size)] * size, recipe, models_dir) for size in (1, 2))
    assert [(step, set(metrics)) for step, metrics in one] == [(step, set(metrics)) for step, metrics in two]
    curves = [
        [(name, metrics[name]) for _, metrics in told for name in ("train/loss", "validation/loss") if name in metrics]
        for told in (one, two)
    ]
    assert len(curves[0]) > 3
    for (name, alone), (_, together) in zip(*curves, strict=True):
        assert together == pytest.approx(alone, abs=1e-4), name
    weights = [load_file(tmp_path / work / "adapter" / WEIGHTS) for work in ("1", "2")]
    assert all(torch.allclose(weights[0][name], weights[1][name], atol=1e-3) for name in weights[0])


def test_two_processes_begin_with_the_adapter_of_the_first(write_recipe, models_dir, tmp_path):
    train_in([tmp_path / "before"], write_recipe(num_train_epochs=2), models_dir)
    initial = tmp_path / "before" / "adapter"
    recipe = write_recipe(num_train_epochs=1)
    fresh = train_in([tmp_path / "fresh"], recipe, models_dir)
    one, two = (train_in([tmp_path / str(size)] * size, recipe, models_dir, initial) for size in (1, 2))
    losses = [
        [metrics["validation/loss"] for _, metrics in told if "validation/loss" in metrics] for told in (one, two)
    ]
    assert losses[1] == pytest.approx(losses[0], abs=1e-4)
    assert (
        losses[0][-1] < 0.95 * [metrics["validation/loss"] for _, metrics in fresh if "validation/loss" in metrics][-1]
    )


def test_a_lost_machine_ends_the_others_and_can_be_resumed(write_recipe, models_dir, tmp_path):
    # With dropout: each process's random numbers go on from where they were.
    settings = {"dropout": 0.1, "num_train_epochs": 3, "save_steps": 2}
    train_in([tmp_path / "whole"] * 2, write_recipe(**settings), models_dir)
    store = tmp_path / "store"
    recipe = write_recipe(checkpoints=store.as_uri(), **settings)
    machines = [tmp_path / name / "work" for name in ("one", "other", "third")]
    first, second = start_together(recipe, models_dir, machines[:2], free_port(tmp_path))
    until(lambda: not first.is_alive() or list(store.glob("checkpoint-*.tar")))
    assert first.is_alive()
    second.kill()
    first.join(LONGEST)
    assert first.exitcode == 1
    # On one that has none of it, and another one's place.
    train_in([machines[2], machines[0]], recipe, models_dir)
    assert len(list(store.iterdir())) == 2
    weights = [load_file(folder / "adapter" / WEIGHTS) for folder in (machines[2], tmp_path / "whole")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
