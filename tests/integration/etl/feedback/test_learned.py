"""Models that learned from erased feedback are named, from a real registry."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import forks
import pytest
from feedbacks import Box, identifier

from snap2caption.datasets.manifest import CorpusSource, FeedbackOrigin, File, Manifest, SampleOrigin
from snap2caption.registry.client import Registry
from snap2caption.store import open_store

pytestmark = pytest.mark.integration

NOTHING = hashlib.sha256().hexdigest()


def put_version(uri: str, version: str, numbers: list[int]) -> None:
    """Put the manifest of a version of feedback that holds these."""
    samples = {identifier(number): SampleOrigin(annotations=()) for number in numbers}
    manifest = Manifest(
        version=version,
        source=CorpusSource(urls=(), sha256=NOTHING),
        settings={},
        dropped={},
        splits={},
        hashtags=File(name="hashtags.parquet", sha256=NOTHING, bytes=0),
        feedback=FeedbackOrigin(corpus="c" * 16, samples=samples),
    ).dump()
    open_store(uri).put(f"feedback/{version}/manifest.json", manifest, sha256=hashlib.sha256(manifest).hexdigest())


def register(registry: Registry, learned: dict[str, str]) -> str:
    """Register a model that learned from the corpus, and from what the tags *learned* name; return its run."""
    client = registry.client()
    run_id = str(client.create_run("0").info.run_id)
    model = client.create_logged_model("0", source_run_id=run_id)
    client.finalize_logged_model(model.model_id, "READY")
    tags = {"base": "demo-base", "base_revision": "r", "dataset_version": "c" * 16, "dataset_uri": "file:///corpus"}
    registry.register(run_id, model.model_uri, tags | learned)
    return run_id


def withdraw(tmp_path: Path, tracking_uri: str, box: Box, name: str) -> "subprocess.CompletedProcess[str]":
    variables = {
        "SNAP2CAPTION_STATE_DIR": str(tmp_path / "state"),
        "SNAP2CAPTION_FEEDBACK_URI": box.uri,
        "SNAP2CAPTION_DATASETS_URI": (tmp_path / "datasets").as_uri(),
        "SNAP2CAPTION_MLFLOW_TRACKING_URI": tracking_uri,
        "SNAP2CAPTION_REGISTERED_MODEL": name,
    }
    command = [sys.executable, "-m", "snap2caption", "feedback", "withdraw", "--json"]
    done = forks.run_command(command, os.environ | variables)
    assert done.returncode == 0, done.stderr
    return done


def test_an_erasure_names_the_models_that_learned_from_it(tmp_path: Path, tracking_uri: str) -> None:
    box, datasets = Box(tmp_path / "feedback"), (tmp_path / "datasets").as_uri()
    feedback = [box.send(number) for number in range(4)]
    put_version(datasets, "a" * 16, [0, 1])
    put_version(datasets, "b" * 16, [1, 2, 3])
    registry = Registry(tracking_uri, "learned")
    first, second = {"feedback_version": "a" * 16}, {"feedback_version": "b" * 16}
    # The last one began with the adapter of one that learned from the second.
    inherited = {"inherited_versions": f"{'c' * 16},{'b' * 16}"}
    runs = [register(registry, learned) for learned in (first, {}, second, first | inherited)]
    registry.challenge(registry.resolve(runs[2]))
    nothing = json.loads(withdraw(tmp_path, tracking_uri, box, "learned").stdout)
    assert nothing == {"withdrawn": [], "models": [], "fault": ""}
    for number in (2, 3):
        box.erase(feedback[number])
    # Also where the version was withdrawn by an earlier run: until the model is gone it is named.
    for withdrawn in (["b" * 16], []):
        done = withdraw(tmp_path, tracking_uri, box, "learned")
        document = json.loads(done.stdout)
        assert document == {
            "withdrawn": withdrawn,
            "models": [
                {"version": 4, "run_id": runs[3], "aliases": [], "feedback_version": "b" * 16, "erased": 2},
                {"version": 3, "run_id": runs[2], "aliases": ["challenger"], "feedback_version": "b" * 16, "erased": 2},
            ],
            "fault": "",
        }
        assert "Model version 3 (challenger) learned from 2 corrections that were erased since" in done.stderr


def test_without_a_registry_what_is_erased_is_withdrawn(tmp_path: Path) -> None:
    box = Box(tmp_path / "feedback")
    feedback = box.send(0)
    put_version((tmp_path / "datasets").as_uri(), "a" * 16, [0])
    box.erase(feedback)
    document = json.loads(withdraw(tmp_path, "http://127.0.0.1:9", box, "learned").stdout)
    assert (document["withdrawn"], document["models"]) == (["a" * 16], [])
    assert "Can't find the models" in document["fault"]
