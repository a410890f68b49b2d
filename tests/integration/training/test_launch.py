"""The command under its launchers: the same recipe, in several processes."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient
from patience import LONGEST, until
from tiny import LANGUAGE_LAYERS

from snap2caption.errors import UserError
from snap2caption.settings import Settings
from training.fit.checkpoints import COMPLETE
from training.launch.launcher import launch
from training.pipeline import train
from training.recipes.recipe import Recipe
from training.recipes.sections import LauncherSettings

pytestmark = pytest.mark.integration


@pytest.fixture
def command(settings: Settings, tmp_path: Path) -> Iterator[Callable[[Recipe], subprocess.Popen[str]]]:
    """Start ``snap2caption train`` with a recipe, as a user does."""
    environment = os.environ | {
        "SNAP2CAPTION_STATE_DIR": str(settings.state_dir),
        "SNAP2CAPTION_MODELS_DIR": str(settings.models_dir),
        "SNAP2CAPTION_MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri,
    }
    started: list[subprocess.Popen[str]] = []

    def start(recipe: Recipe) -> subprocess.Popen[str]:
        file = tmp_path / "recipe.yaml"
        file.write_text(recipe.dump())
        arguments = [sys.executable, "-m", "snap2caption", "train", "--config", str(file), "--json"]
        process = subprocess.Popen(
            arguments,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the processes that train, in the order of their start."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
    return found


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    until(lambda: process.poll() is not None or condition())
    assert process.poll() is None, process.communicate()


def curve(client: MlflowClient, run_id: str, name: str) -> dict[int, float]:
    return {point.step: point.value for point in client.get_metric_history(run_id, name)}


def validation_losses(client: MlflowClient, run_id: str) -> dict[int, float]:
    return {point.step: point.value for point in client.get_metric_history(run_id, "validation/loss")}


def assert_like_alone(client: MlflowClient, settings: Settings, run_id: str, recipe: Recipe) -> None:
    """The run is the experiment's only one, and its losses are those of the same recipe in one process."""
    experiment = client.get_experiment_by_name(recipe.tracking.experiment_name)
    assert [run.info.run_id for run in client.search_runs([experiment.experiment_id])] == [run_id]
    run = client.get_run(run_id)
    assert (run.info.status, run.data.tags["processes"]) == ("FINISHED", "2")
    # What was done on two processes is not done again on one.
    local = recipe.model_copy(update={"launcher": LauncherSettings()})
    assert train(local, settings) == run_id
    alone = train(local, settings, force=True)
    expected = validation_losses(client, alone)
    assert validation_losses(client, run_id) == pytest.approx(expected, abs=1e-4)
    assert len(expected) == recipe.training.num_train_epochs
    assert run.data.metrics["test/loss"] == pytest.approx(client.get_run(alone).data.metrics["test/loss"], abs=1e-4)


@pytest.fixture
def two(recipe_with: Callable[..., Recipe]) -> Callable[..., Recipe]:
    """Make a recipe for two processes."""

    def make(kind: str, **launcher: object) -> Recipe:
        return recipe_with(
            # Dropout draws other masks on other processes.
            model={"lora": {"r": 4, "lora_alpha": 8, "lora_dropout": 0.0, "target_modules": LANGUAGE_LAYERS}},
            training={"learning_rate": 1e-3, "num_train_epochs": 6, "save_steps": 2},
            launcher={"kind": kind, "processes": 2, **launcher},
        )

    return make


def saved(settings: Settings) -> int:
    """Return the step of the last checkpoint."""
    found = settings.state_dir.glob(f"training/*/*/*/{COMPLETE}")
    return max((int(path.parent.name.removeprefix("checkpoint-")) for path in found), default=0)


def fail(process: subprocess.Popen[str]) -> str:
    """Wait until the command has failed and none of its processes is left; return its last line."""
    family = psutil.Process(process.pid).children(recursive=True)
    output, log = process.communicate(timeout=LONGEST)
    assert (process.returncode, output) == (1, ""), log
    assert psutil.wait_procs(family, LONGEST)[1] == []
    return log.strip().splitlines()[-1]


def test_torchrun_ends_all_with_a_killed_process_and_goes_on(settings, client, command, two) -> None:
    recipe = two("torchrun")
    killed = command(recipe)
    wait_for(lambda: saved(settings), killed)
    workers(killed)[1].kill()
    assert re.fullmatch(r"error: .*[Rr]un the same command again to resume from the last checkpoint\.", fail(killed))

    ended = command(recipe)
    output, log = ended.communicate(timeout=LONGEST)
    assert ended.returncode == 0, log
    assert_like_alone(client, settings, json.loads(output)["run_id"], recipe)


@pytest.mark.skipif("CHAOS_TRAINING_ROUNDS" not in os.environ, reason="`make chaos-training` runs it")
def test_under_torchrun_the_command_is_stopped_and_saves(settings, command, two) -> None:
    stopped = command(two("torchrun"))
    wait_for(lambda: saved(settings), stopped)
    before = saved(settings)
    stopped.terminate()
    assert (
        fail(stopped) == "error: Training was stopped; run the same command again to resume from its last checkpoint."
    )
    assert saved(settings) > before


# Ray's own, about its own settings.
@pytest.mark.filterwarnings(r"ignore::DeprecationWarning:ray\..*")
@pytest.mark.filterwarnings(r"ignore::FutureWarning:ray\..*")
def test_on_ray_it_ends_as_alone(settings, client, two) -> None:
    recipe = two("ray")
    before = set(psutil.Process().children(recursive=True))
    run_id = launch(recipe, settings)
    assert_like_alone(client, settings, run_id, recipe)
    left = set(psutil.Process().children(recursive=True)) - before
    assert psutil.wait_procs(left, LONGEST)[1] == []


def test_what_the_cluster_lacks_is_one_sentence(settings, two) -> None:
    with pytest.raises(UserError, match=r"No Ray cluster answers at 127\.0\.0\.1:9 "):
        launch(two("ray", address="127.0.0.1:9"), settings)
