import base64
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import forks
import mlflow
import pandas as pd
import pytest
import torch
import yaml
from mlflow import MlflowClient
from tiny import LANGUAGE_LAYERS, write_dataset

from snap2caption.datasets.manifest import Manifest
from snap2caption.errors import UserError
from snap2caption.post import parse
from snap2caption.registry.client import CHAMPION, PREVIOUS
from snap2caption.settings import Settings
from snap2caption.tone import infer_tone
from snap2caption.vlm import load
from training.data.samples import CachedDataset
from training.evaluation import candidates as models
from training.evaluation.evaluate import Evaluation
from training.evaluation.report import REPORT
from training.gate.latency import LatencyComparison
from training.gate.promotion import open_registry, promote, rollback
from training.gate.runner import evaluate_model, gate_run
from training.pipeline import train
from training.planning.dry_run import make_plan
from training.planning.precision import choose_precision
from training.recipes.recipe import Recipe
from training.recipes.sections import EvaluationSettings
from training.tracking.runs import (
    CANDIDATE,
    FEEDBACK_CANDIDATE,
    FEEDBACK_INCUMBENT,
    FEEDBACK_MANIFEST,
    INCUMBENT,
    LATENCY,
    RECIPE,
    VERDICT,
    read_artifact,
    read_recipe,
)

pytestmark = pytest.mark.integration

LEARNS = {"learning_rate": 2e-2, "num_train_epochs": 6}
ADMITS_BETTER = {"city_tolerance": 1, "latency_tolerance": 9, "hashtags_tolerance": 1, "confidence": 0.5}


def repeatable(metrics):
    """Return those of a run's *metrics* that do not depend on how fast or how busy the machine is."""
    return {name: value for name, value in metrics.items() if "second" not in name and not name.startswith("system/")}


def test_a_model_goes_from_data_to_service_and_back(settings, client, recipe_with, dataset_dir):
    run_id = train(recipe_with(training=LEARNS, gate=ADMITS_BETTER), settings)

    run = client.get_run(run_id)
    manifest = Manifest.read(dataset_dir)
    assert run.info.status == "FINISHED"
    assert run.data.tags["dataset_version"] == manifest.version
    assert run.data.tags["base"] == "tiny-llava"
    assert run.data.params["training.num_train_epochs"] == "6"
    for name in (
        "test/loss", "test/bleu_4", "test/rouge_l", "test/cider", "test/cider_low", "test/tokens", "test/format_valid",
        "test/tone_adherence", "test/captions_per_second", "city/chicago/cider", "tone/professional/cider",
    ):  # fmt: skip
        assert name in run.data.metrics
    history = client.get_metric_history(run_id, "validation/loss")
    assert len(history) == 6
    assert history[-1].value < history[0].value
    assert Manifest.parse(read_artifact(client, run_id, "manifest.json"), "artifact") == manifest
    assert yaml.safe_load(read_artifact(client, run_id, RECIPE))["training"]["num_train_epochs"] == 6
    assert read_artifact(client, run_id, "samples/captions.png")[:4] == b"\x89PNG"
    table = json.loads(read_artifact(client, run_id, "samples/captions.json"))
    assert table["columns"][:4] == ["id", "city", "tone", "hypothesis"]
    report = read_artifact(client, run_id, REPORT).decode()
    assert f"Evaluation of <code>run:{run_id}</code>" in report
    assert "base, CIDEr-D" not in report

    with pytest.raises(UserError, match="has not been through the gate"):
        promote(run_id, settings)
    verdict = gate_run(run_id, settings)
    assert verdict.incumbent == "base"
    assert verdict.admitted, verdict.refusals
    assert client.get_run(run_id).data.tags["gate.admitted"] == "true"
    assert json.loads(read_artifact(client, run_id, VERDICT))["run_id"] == run_id
    # Now beside what the base wrote.
    assert "base, CIDEr-D" in read_artifact(client, run_id, REPORT).decode()
    first = promote(run_id, settings)
    assert promote(run_id, settings) == first
    registry = open_registry(settings)
    assert registry.by_alias(CHAMPION) == first
    assert (first.base, first.dataset_uri) == ("tiny-llava", dataset_dir.as_uri())

    # The champion against itself: nothing to do, nothing wrong.
    again = gate_run(run_id, settings)
    assert (again.admitted, again.incumbent) == (True, "champion v1")

    # A worse one is refused, and the champion stays; by other rules and other photos, too, which the verdict names.
    worse = train(recipe_with(training={"learning_rate": 0}, gate=ADMITS_BETTER), settings)
    rules = ("gate.confidence=0.9", "evaluation.max_samples=11")
    lenient = gate_run(worse, settings, rules)
    assert lenient.overrides == rules
    assert "(90.0% required" in lenient.rules[0].reason
    incumbent = Evaluation.model_validate_json(read_artifact(client, worse, INCUMBENT))
    assert len(incumbent.rows) == 11
    assert "Judged with gate.confidence=0.9, evaluation" in client.get_run(worse).data.tags["mlflow.note.content"]
    refused = gate_run(worse, settings)
    assert (refused.incumbent, refused.overrides) == ("champion v1", ())
    assert "CIDEr" in [rule.name for rule in refused.rules if not rule.passed]
    with pytest.raises(UserError, match="The gate refused"):
        promote(worse, settings)
    assert registry.by_alias(CHAMPION) == first

    # Overruled, and rolled back.
    second = promote(worse, settings, force=True)
    assert (registry.by_alias(CHAMPION), registry.by_alias(PREVIOUS)) == (second, first)
    assert rollback(settings) == first
    assert (registry.by_alias(CHAMPION), registry.by_alias(PREVIOUS)) == (first, second)


def test_the_champion_writes_as_a_pyfunc_what_was_evaluated(
    settings, client, recipe_with, dataset_dir, tmp_path, monkeypatch
):
    run_id = train(recipe_with(training=LEARNS), settings)
    promote(run_id, settings, force=True)
    monkeypatch.setenv("SNAP2CAPTION_MODELS_DIR", str(settings.models_dir))
    model = mlflow.pyfunc.load_model(f"models:/{settings.registered_model}@champion")
    sample = CachedDataset.open(dataset_dir.as_uri(), tmp_path / "shards").samples("test")[0]
    photo = sample.photo()
    as_bytes = model.predict(pd.DataFrame({"image": [photo]}), params={"max_new_tokens": 24})
    as_text = model.predict(
        pd.DataFrame({"image": [base64.b64encode(photo).decode()], "tone": [None]}), params={"max_new_tokens": 24}
    )
    assert as_bytes == as_text
    assert set(as_bytes[0]) == {"caption", "hashtags", "alt_text"}
    tone = infer_tone(sample.post.caption).value
    toned = model.predict(pd.DataFrame({"image": [photo], "tone": [tone]}), params={"max_new_tokens": 24})
    evaluated = Evaluation.model_validate_json(read_artifact(client, run_id, CANDIDATE)).rows[0]
    assert toned[0]["caption"] == parse(evaluated.hypothesis).caption


def test_the_same_training_is_not_done_twice(settings, client, recipe_with, dataset_dir, tmp_path, caplog):
    recipe = recipe_with()
    run_id = train(recipe, settings)
    caplog.set_level("INFO", "training.pipeline")
    assert train(recipe, settings) == run_id
    assert "returning that run. Use --force to train again." in caplog.text
    moved = tmp_path / "moved"
    dataset_dir.rename(moved)
    try:
        # The same content at another place is the same dataset.
        assert train(recipe_with(data={"uri": moved.as_uri()}), settings) == run_id
    finally:
        moved.rename(dataset_dir)
    assert train(recipe_with(training={"seed": 8}), settings) != run_id
    # How it is judged is no part of the training, and kept with its run.
    judged = recipe_with(gate={"margin": 0.25}, evaluation={"max_samples": 4}, training={"save_steps": 3})
    assert train(judged, settings) == run_id
    assert read_recipe(client, run_id) == judged.model_copy(update={"training": recipe.training})
    forced = train(recipe, settings, force=True)
    assert forced != run_id
    one, two = (client.get_run(each).data.metrics for each in (run_id, forced))
    assert repeatable(one) == repeatable(two)


def test_feedback_is_mixed_in_and_changes_the_fingerprint(settings, client, recipe_with, dataset_dir, tmp_path, caplog):
    uri = str(tmp_path / "feedback")
    write_dataset(tmp_path / "feedback", {"train": 6, "validation": 3, "test": 3}, seed=70)
    data = {"feedback": {"uri": uri, "share": 0.2}, "max_post_tokens": 16, "max_validation_samples": 6}
    with_feedback = recipe_with(data=data, training={"num_train_epochs": 1})
    caplog.clear()
    with caplog.at_level("INFO"):
        run = client.get_run(train(with_feedback, settings))
    assert run.data.params["train_samples"] == "60"
    assert run.data.params["validation_samples"] == "6"
    # What is repeated counts once.
    assert run.data.params["cut_posts"] == "54"
    assert "54 posts were truncated to 16 tokens (data.max_post_tokens)" in caplog.text
    assert run.data.tags["feedback_version"] == Manifest.read(tmp_path / "feedback").version
    assert train(with_feedback, settings) == run.info.run_id
    # The gate evaluates both on what was held out of it, and a registered version names it.
    verdict = gate_run(run.info.run_id, settings)
    assert {score.name for score in verdict.reported} >= {"feedback: loss", "feedback: cider"}
    assert "On held-out feedback" in read_artifact(client, run.info.run_id, REPORT).decode()
    stored = [
        Evaluation.read(read_artifact(client, run.info.run_id, name))
        for name in (FEEDBACK_CANDIDATE, FEEDBACK_INCUMBENT)
    ]
    assert [(found.conditions.dataset_version, len(found.rows)) for found in stored] == [("d00000000070", 3)] * 2
    assert {row.reference + row.hypothesis for found in stored for row in found.rows} == {""}
    manifest = Manifest.parse(read_artifact(client, run.info.run_id, FEEDBACK_MANIFEST), "artifact")
    assert manifest.version == "d00000000070"
    version = promote(run.info.run_id, settings, force=True)
    registered = client.get_model_version(settings.registered_model, str(version.version))
    assert registered.tags["feedback_uri"] == run.data.tags["feedback_uri"]
    # The test split, and so the gate, is the corpus's.
    assert run.data.tags["dataset_version"] == Manifest.read(dataset_dir).version
    with pytest.raises(UserError, match="vision features can't be cached"):
        train(recipe_with(model={"lora": {"target_modules": r".*multi_modal_projector\.linear_1"}}), settings)
    assert len(client.search_runs([run.info.experiment_id])) == 1


def test_a_training_begins_with_the_champions_adapter(settings, client, recipe_with, tmp_path):
    first = train(recipe_with(training=LEARNS), settings)
    promote(first, settings, force=True)
    own = str(tmp_path / "own")
    write_dataset(tmp_path / "own", {"train": 12, "validation": 6, "test": 6}, seed=50)
    # At a rate of zero, it is the champion still: it began there.
    still = {"training": {"learning_rate": 0, "num_train_epochs": 1}, "data": {"uri": own}}
    fresh = train(recipe_with(**still), settings)
    recipe = recipe_with(**still, model={"initial_adapter": "champion"})
    plan = make_plan(recipe, settings)
    assert f"# initial adapter: that of run {first}, which learned from dataset d00000000000\n" in plan.describe()
    second = train(recipe, settings)
    runs = {name: client.get_run(name) for name in (first, fresh, second)}
    assert runs[second].data.metrics["test/loss"] < 0.5 * runs[fresh].data.metrics["test/loss"]
    tags = runs[second].data.tags
    assert tags["initial_run_id"] == first
    assert tags["initial_adapter_sha256"] == runs[first].data.tags["adapter_sha256"]
    # Once it is the champion itself, the same command means the same training; and so does the version's number.
    version = promote(second, settings, force=True)
    assert train(recipe, settings) == second
    assert train(recipe_with(**still, model={"initial_adapter": 1}), settings) == second
    # What the first one learned from counts as learned by the second, and by whatever begins with that.
    name = settings.registered_model
    registered = client.get_model_version(name, str(version.version)).tags
    assert registered["inherited_versions"] == "d00000000000"
    assert f"{name} version 2" in open_registry(settings).lineage()["d00000000000"]
    third = train(recipe_with(training=still["training"], model={"initial_adapter": second}), settings)
    assert client.get_run(third).data.tags["inherited_versions"] == "d00000000050,d00000000000"


def test_an_adapter_that_does_not_fit_is_one_sentence(settings, client, recipe_with):
    first = train(recipe_with(training={"num_train_epochs": 1}), settings)
    runs = client.search_runs([client.get_run(first).info.experiment_id])
    other_rank = {"initial_adapter": first, "lora": {"r": 8, "lora_alpha": 16, "target_modules": LANGUAGE_LAYERS}}
    with pytest.raises(UserError, match=r"has r=4, lora_alpha=8 .* so add model\.lora\.r=4"):
        train(recipe_with(model=other_rank), settings)
    client.set_tag(first, "base_revision", "another")
    with pytest.raises(UserError, match=r"was trained on tiny-llava in revision another, .* name a model on that base"):
        train(recipe_with(model={"initial_adapter": first}), settings)
    with pytest.raises(UserError, match="has no champion"):
        train(recipe_with(model={"initial_adapter": "champion"}), settings)
    assert len(client.search_runs([runs[0].info.experiment_id])) == len(runs)


def test_a_killed_training_goes_on_in_its_own_run(settings, client, recipe_with, tmp_path, monkeypatch):
    recipe = recipe_with(training={"num_train_epochs": 3, "precision": "auto"})
    killed = kill_in_the_middle(recipe, settings, tmp_path)
    assert [client.get_run(run).info.status for run in runs_of(recipe, client)] == ["RUNNING"]
    precision = choose_precision(recipe).precision
    with monkeypatch.context() as elsewhere:
        # On a machine that would choose another precision, a training keeps the one that it was begun in.
        elsewhere.setattr("training.planning.precision.has_bfloat16", lambda: precision == "float32")
        assert choose_precision(recipe).precision != precision
        assert train(recipe, settings) == killed
    assert client.get_run(killed).data.params["training.precision"] == precision
    assert read_recipe(client, killed).training.precision == precision
    assert runs_of(recipe, client) == [killed]
    whole = train(recipe, settings, force=True)
    assert repeatable(client.get_run(whole).data.metrics) == repeatable(client.get_run(killed).data.metrics)


def test_a_killed_forced_training_goes_on_in_its_own_run(settings, client, recipe_with, tmp_path):
    recipe = recipe_with(training={"num_train_epochs": 3})
    first = train(recipe, settings)
    killed = kill_in_the_middle(recipe, settings, tmp_path, "--force")
    # Without --force there is nothing to do, and nothing is taken from the one that was cut off.
    assert train(recipe, settings) == first
    assert list(settings.state_dir.glob(f"training/*/{killed}/checkpoint-*"))
    assert train(recipe, settings, force=True) == killed
    assert set(runs_of(recipe, client)) == {first, killed}
    assert repeatable(client.get_run(killed).data.metrics) == repeatable(client.get_run(first).data.metrics)
    # Once it is finished, the next forced one is another.
    assert train(recipe, settings, force=True) not in (first, killed)


def runs_of(recipe: Recipe, client: MlflowClient) -> list[str]:
    experiment = client.get_experiment_by_name(recipe.tracking.experiment_name)
    return [run.info.run_id for run in client.search_runs([experiment.experiment_id])]


def kill_in_the_middle(recipe: Recipe, settings: Settings, folder: Path, *options: str) -> str:
    """Start a training and end it by SIGKILL as soon as its second checkpoint is begun; return its run's id."""
    recipe_file = folder / "recipe.yaml"
    recipe_file.write_text(recipe.dump())
    environment = {
        **os.environ,
        "SNAP2CAPTION_STATE_DIR": str(settings.state_dir),
        "SNAP2CAPTION_MODELS_DIR": str(settings.models_dir),
        "SNAP2CAPTION_MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri,
    }
    command = [sys.executable, "-m", "snap2caption", "train", "--config", str(recipe_file), *options]
    process = forks.start_command(command, environment, folder / "train.log")
    while process.poll() is None and not list(settings.state_dir.glob("training/*/*/checkpoint-12")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    (begun,) = settings.state_dir.glob("training/*/*/checkpoint-12")
    return begun.parent.name


def test_models_are_evaluated_by_run_alias_version_and_base(settings, recipe_with, dataset_dir, tmp_path):
    run_id = train(recipe_with(), settings)
    promote(run_id, settings, force=True)
    few = EvaluationSettings(max_samples=3, max_new_tokens=4)
    uri = dataset_dir.as_uri()
    rows = [evaluate_model(name, uri, few, settings).rows for name in (run_id, "champion", "1")]
    assert rows[0] == rows[1] == rows[2]
    evaluate_model("champion", uri, few, settings, report=tmp_path / "report.html")
    assert f"Evaluation of <code>run:{run_id}</code>" in (tmp_path / "report.html").read_text()
    with pytest.raises(UserError, match=r"no folder .*/gone for the report"):
        evaluate_model("champion", uri, few, settings, report=tmp_path / "gone" / "report.html")
    assert evaluate_model("base:tiny-llava", uri, few, settings).model.startswith("base:tiny-llava@")
    for wrong in ("base:no such base", "7", "challenger"):
        with pytest.raises(UserError):
            evaluate_model(wrong, uri, few, settings)


def test_models_are_evaluated_in_their_training_precision(settings, client, recipe_with, dataset_dir, monkeypatch):
    once = {"num_train_epochs": 1, "learning_rate": 0}
    half = train(recipe_with(training={**once, "precision": "bfloat16"}), settings)
    promote(half, settings, force=True)
    whole = train(recipe_with(training=once), settings)
    loaded = []

    def load_and_note(*arguments, **options):
        vlm = load(*arguments, **options)
        loaded.append(vlm.model.dtype)
        return vlm

    monkeypatch.setattr(models, "load", load_and_note)
    few, uri = EvaluationSettings(max_samples=2, max_new_tokens=2), dataset_dir.as_uri()
    evaluated = [evaluate_model(name, uri, few, settings) for name in (half, whole, "base:tiny-llava")]
    evaluated += [evaluate_model(half, uri, few, settings, precision="float32")]
    assert loaded == [torch.bfloat16, torch.float32, torch.float32, torch.float32]
    assert [found.conditions.precision for found in evaluated] == ["bfloat16", "float32", "float32", "float32"]
    # The champion's stored evaluation is in another precision, so it is made anew; and both are timed in one.
    loaded.clear()
    gate_run(whole, settings, ["gate.latency_photos=1"])
    assert set(loaded) == {torch.float32}
    theirs = Evaluation.model_validate_json(read_artifact(client, whole, INCUMBENT))
    assert (theirs.model, theirs.conditions.precision) == (f"run:{half}", "float32")
    assert LatencyComparison.model_validate_json(read_artifact(client, whole, LATENCY)).precision == "float32"


def test_a_lost_adapter_is_one_sentence(settings, client, recipe_with, artifacts_dir, dataset_dir):
    run_id = train(recipe_with(), settings)
    model_id = client.get_run(run_id).data.tags["model_uri"].removeprefix("models:/")
    (folder,) = artifacts_dir.glob(f"*/models/{model_id}")
    shutil.rmtree(folder)
    with pytest.raises(UserError, match=f"The adapter of run:{run_id} is missing"):
        evaluate_model(run_id, dataset_dir.as_uri(), EvaluationSettings(), settings)


def test_without_a_server_it_says_what_to_start(settings, recipe_with):
    away = settings.model_copy(update={"mlflow_tracking_uri": "http://127.0.0.1:9"})
    with pytest.raises(UserError, match=r"MLflow at http://127.0.0.1:9 does not answer .*; start it"):
        train(recipe_with(), away)
