"""The whole loop with the real servers: creators correct, an annotator confirms in Label Studio, Airflow retrains,
the service has learned.

`make test-feedback` runs it; it takes two trainings.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from mlflow import MlflowClient
from patience import LONGEST

from demo.airflow import AirflowClient
from demo.loop.habit import PHRASE
from demo.loop.outcome import LoopOutcome
from demo.loop.run import CORRECTIONS, FeedbackLoop
from demo.outcome import DemoOutcome
from demo.run import Demo
from etl.verify import verify
from snap2caption.datasets.manifest import Manifest
from snap2caption.datasets.shards import read_shard
from snap2caption.datasets.version import DatasetVersion
from snap2caption.feedback import Annotation
from snap2caption.store import open_store

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif("TEST_FEEDBACK" not in os.environ, reason="takes two trainings; run `make test-feedback`"),
]

PAIRS = int(os.environ.get("TEST_FEEDBACK") or 2400)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoOutcome]:
    with Demo(tmp_path_factory.mktemp("demo"), PAIRS, annotators=True).run() as outcome:
        yield outcome


@pytest.fixture(scope="module")
def loop(demo: DemoOutcome, tmp_path_factory: pytest.TempPathFactory) -> LoopOutcome:
    return FeedbackLoop(demo.services, tmp_path_factory.mktemp("page")).run()


@pytest.fixture(autouse=True)
def as_a_client(demo: DemoOutcome, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in demo.services.environment.items():
        monkeypatch.setenv(name, value)


def test_a_habit_that_the_corpus_never_had_is_learned(loop: LoopOutcome) -> None:
    assert loop.share_before == 0
    assert loop.share >= 0.8
    assert PHRASE in loop.page.read_text()


def test_nothing_is_lost_on_the_original_test_split(loop: LoopOutcome) -> None:
    rules = {rule["name"]: rule for rule in loop.verdict["rules"]}
    assert all(rule["passed"] for rule in rules.values())
    assert rules["CIDEr"]["candidate"] >= 0.95 * rules["CIDEr"]["incumbent"]
    assert rules["loss"]["candidate"] <= 1.05 * rules["loss"]["incumbent"]
    assert rules["CIDEr on feedback"]["candidate"] > rules["CIDEr on feedback"]["incumbent"]
    assert "feedback: cider" in {score["name"] for score in loop.verdict["reported"]}


def test_the_answers_model_version_leads_to_the_annotations(
    demo: DemoOutcome, loop: LoopOutcome, tmp_path: Path
) -> None:
    name, _, number = loop.compared[0].after["model_version"].rpartition("/")
    client = MlflowClient(demo.services.mlflow, demo.services.mlflow)
    version = client.get_model_version(name, number)
    run = client.get_run(version.run_id)
    assert version.tags["feedback_uri"] == run.data.tags["feedback_uri"] == loop.feedback_uri
    stored = Path(client.download_artifacts(run.info.run_id, "feedback-manifest.json", str(tmp_path))).read_bytes()
    dataset = DatasetVersion.open(loop.feedback_uri)
    assert Manifest.parse(stored, "artifact") == dataset.manifest
    assert verify(dataset) == []
    store = open_store(demo.services.environment["SNAP2CAPTION_FEEDBACK_URI"])
    annotations = {}
    for found in store.list("annotations/"):
        with store.get(found.key) as stream:
            annotation = Annotation.model_validate_json(stream.read())
        annotations[annotation.feedback] = annotation
    posts = {
        sample.id: sample.post
        for summary in dataset.manifest.splits.values()
        for shard in summary.shards
        for sample in read_shard(dataset.fetch(shard, tmp_path))
    }
    origins = dataset.manifest.feedback.samples
    assert set(origins) == set(posts)
    assert len(origins) >= 50
    for identifier, origin in origins.items():
        assert [(one.annotation, one.annotator) for one in origin.annotations] == [
            (annotations[identifier].id, annotations[identifier].annotator)
        ]
        assert posts[identifier].caption.endswith(PHRASE)


def test_each_feedback_became_one_task_and_one_annotation(demo: DemoOutcome, loop: LoopOutcome) -> None:
    access = demo.services.label_studio
    headers = {"Authorization": f"Token {access.token}"}
    with httpx.Client(base_url=access.url, headers=headers, timeout=LONGEST) as client:
        (project,) = client.get("/api/projects/").raise_for_status().json()["results"]
        asked = {"project": project["id"], "page_size": 100}
        tasks = client.get("/api/tasks", params=asked).raise_for_status().json()["tasks"]
    assert len(tasks) == CORRECTIONS
    assert {task["total_annotations"] for task in tasks} == {1}


def test_with_nothing_new_nothing_is_trained_again(demo: DemoOutcome, loop: LoopOutcome) -> None:
    with AirflowClient(demo.services.airflow) as airflow:
        before = airflow.runs("training")
        run = airflow.trigger("feedback", {})
        *_, tasks = airflow.watch("feedback", run, 3600.0)
        states = {task.name: task.state for task in tasks}
        assert states["validate"] == states["retrain"] == "skipped"
        assert airflow.runs("training") == before
    store = open_store(demo.services.environment["SNAP2CAPTION_FEEDBACK_URI"])
    (retraining,) = list(store.list("retrainings/"))
    with store.get(retraining.key) as stream:
        assert json.load(stream)["uri"] == loop.feedback_uri
