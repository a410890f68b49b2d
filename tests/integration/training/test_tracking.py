"""What a run leaves in its trackers."""

import json
import sys
import threading

import pytest
import wandb
import yaml
from mlflow.data import get_source

from snap2caption.datasets.manifest import Manifest
from snap2caption.errors import UserError
from training.pipeline import train
from training.recipes.sections import TrackingSettings
from training.tracking.runs import RunLog

pytestmark = pytest.mark.integration


def test_a_run_can_be_watched_while_it_trains(settings, client, recipe_with, monkeypatch):
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.2")
    recipe = recipe_with(training={"num_train_epochs": 4}, tracking={"log_system_metrics": True})
    found = {}

    def look() -> None:
        """What somebody sees who looks at the run again and again until it has ended."""
        while not done.is_set():
            experiment = client.get_experiment_by_name(recipe.tracking.experiment_name)
            runs = client.search_runs([experiment.experiment_id]) if experiment else []
            for run in runs:
                if run.info.status == "RUNNING":
                    found.update(run.data.metrics)
            done.wait(0.05)

    done = threading.Event()
    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        run_id = train(recipe, settings)
    finally:
        done.set()
        watcher.join()
    assert {"train/loss", "validation/loss", "train/learning_rate"} <= found.keys()
    assert "system/cpu_utilization_percentage" in found
    metrics = client.get_run(run_id).data.metrics
    assert {f"system/{name}" for name in ("system_memory_usage_percentage", "disk_usage_percentage")} <= metrics.keys()
    steps = [point.step for point in client.get_metric_history(run_id, "train/loss")]
    assert steps == sorted(set(steps))
    assert len(steps) >= 2


def test_a_dataset_version_is_the_runs_input(settings, client, recipe_with, dataset_dir):
    run = client.get_run(train(recipe_with(), settings))
    manifest = Manifest.read(dataset_dir)
    inputs = {
        next(tag.value for tag in found.tags if tag.key == "mlflow.data.context"): found.dataset
        for found in run.inputs.dataset_inputs
    }
    assert {context: dataset.name for context, dataset in inputs.items()} == {
        "training": "snap2caption-train",
        "validation": "snap2caption-validation",
        "test": "snap2caption-test",
    }
    for context, split in (("training", "train"), ("validation", "validation"), ("test", "test")):
        assert inputs[context].digest == manifest.version
        assert json.loads(inputs[context].profile)["samples"] == manifest.splits[split].samples
    # MLflow itself knows where it is.
    assert get_source(inputs["training"]).uri == dataset_dir.as_uri()
    assert not any(name.startswith("system/") for name in run.data.metrics)


@pytest.mark.parametrize("uri", ["s3://bucket/datasets/v1", "swift://container/datasets/v1"])
def test_a_dataset_in_a_store_is_named_by_its_uri(client, dataset_dir, tmp_path, uri):
    log = RunLog.start(client, tmp_path.name, {})
    log.dataset(Manifest.read(dataset_dir), uri, test="test")
    inputs = client.get_run(log.run_id).inputs.dataset_inputs
    assert {found.dataset.source for found in inputs} == {json.dumps({"uri": uri})}
    assert {found.dataset.source_type for found in inputs} == {uri.partition(":")[0]}


def test_a_run_that_fails_is_marked_so(client, tmp_path):
    log = RunLog.start(client, tmp_path.name, {})
    with pytest.raises(ZeroDivisionError), log.recording(TrackingSettings(), tmp_path):
        _ = 1 / 0
    assert client.get_run(log.run_id).info.status == "FAILED"


@pytest.fixture
def wandb_offline(monkeypatch, tmp_path):
    """Weights & Biases as it runs without its server, and without touching the user's own folders."""
    for name in ("CACHE", "CONFIG", "DATA"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / "wandb" / name.lower()))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.setenv("WANDB_MODE", "offline")
    # It reads its variables once a process.
    wandb.teardown()
    yield
    wandb.teardown()


def test_weights_and_biases_is_told_the_same(settings, client, recipe_with, wandb_offline):
    recipe = recipe_with(tracking={"wandb_project": "captions"}, training={"num_train_epochs": 1})
    run_id = train(recipe, settings)
    (folder,) = settings.state_dir.glob(f"wandb/offline-run-*-{run_id}")
    files = folder / "files"
    # The same names and numbers as in MLflow's run, whose id it bears.
    written = (folder / f"run-{run_id}.wandb").read_bytes()
    run = client.get_run(run_id)
    settings_of_the_recipe = [name for name in run.data.params if "." in name]
    for name in (*run.data.metrics, *settings_of_the_recipe):
        assert name.encode() in written, name
    assert json.dumps(run.data.metrics["test/loss"]).encode() in written
    assert yaml.safe_load((files / "recipe.yaml").read_text()) == json.loads(recipe.model_dump_json())
    assert json.loads((files / "evaluation" / "candidate.json").read_text())["model"] == f"run:{run_id}"
    assert list(files.glob("media/images/samples/captions_*.png"))
    (table,) = files.glob("media/table/samples/captions_*.table.json")
    assert json.loads(table.read_text())["columns"][:2] == ["id", "city"]


def test_weights_and_biases_without_a_key_is_one_sentence(client, wandb_offline, monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    log = RunLog.start(client, tmp_path.name, {})
    with (
        pytest.raises(UserError, match=r"rejected the run .*; set WANDB_API_KEY, or WANDB_MODE=offline"),
        log.recording(TrackingSettings(wandb_project="captions"), tmp_path),
    ):
        pass
    assert client.get_run(log.run_id).info.status == "FAILED"


def test_weights_and_biases_that_is_missing_is_told(client, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "wandb", None)
    log = RunLog.start(client, tmp_path.name, {})
    with (
        pytest.raises(UserError, match=r"needs the package wandb; install snap2caption with its extra `wandb`"),
        log.recording(TrackingSettings(wandb_project="captions"), tmp_path),
    ):
        pass
