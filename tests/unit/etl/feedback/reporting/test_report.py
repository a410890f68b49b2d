import hashlib
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import forks
import pytest
from pydantic import BaseModel

from etl.feedback.reporting.report import RetrainingSummary, write_report
from snap2caption.feedback import Annotation, Feedback, Words, annotation_key, erasure_key, record_key
from snap2caption.registry.client import ChampionState
from snap2caption.registry.verdict import GateVerdict, RuleResult
from snap2caption.registry.versions import ModelVersion
from snap2caption.store import ObjectStore, open_store

pytestmark = pytest.mark.unit

START = datetime(2026, 11, 24, 12, tzinfo=UTC)
SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>"

Put = Callable[[str, BaseModel], None]


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store((tmp_path / "store").as_uri())


@pytest.fixture
def put(store: ObjectStore) -> Put:
    def write(key: str, content: BaseModel) -> None:
        data = content.model_dump_json().encode()
        store.put(key, data, sha256=hashlib.sha256(data).hexdigest())

    return write


def feedback(number: int, **others: object) -> Feedback:
    given = {
        "id": f"{number:032x}",
        "creator": "a" * 64,
        "received": START + timedelta(days=number),
        "photo": "b" * 64,
        "shown": Words(caption="Golden hour"),
        "model_version": "snap2caption/1",
        "tone": "witty",
    }
    return Feedback.model_validate(given | others)


def annotation(number: int, annotator: str, caption: str) -> Annotation:
    words = Words(caption=caption)
    return Annotation(id=number, feedback=f"{1:032x}", annotator=annotator, completed=START, words=words)


def test_it_tells_what_creators_and_annotators_did(store: ObjectStore, put: Put, tmp_path: Path) -> None:
    for one in (
        feedback(1, rating=5),
        feedback(2, edited=Words(caption="Golden hours"), rating=3),
        feedback(3, rating=1, reason="wrong_place", model_version="snap2caption/2"),
        feedback(4, rating=1, reason="offensive"),
    ):
        put(record_key(one), one)
    put(erasure_key(f"{4:032x}"), Words(caption=""))
    for number, annotator, caption in ((1, "7", "The same"), (2, "8", "The same"), (3, "8", "The same")):
        put(annotation_key(f"{1:032x}", number), annotation(number, annotator, caption))
    champion = ModelVersion(2, "run", "base", "rev", "dataset-9", "file:///nowhere")
    rule = RuleResult(name="cider", passed=True, candidate=1.25, incumbent=1.0, reason="CIDEr grew by a quarter.")
    verdict = GateVerdict(run_id="run", dataset_version="dataset-9", incumbent="champion v1", rules=(rule,))
    out = tmp_path / "report.html"
    write_report(store, RetrainingSummary(ChampionState(champion, None, 1), verdict), out)
    page = out.read_text()
    assert "3 from 1 creators" in page
    assert "2026-11-25" in page
    # Accepted one of two; the edit is one letter of twelve; (5 + 3) / 2.
    assert "<td>snap2caption/1</td><td>witty</td><td>2</td><td>50 %</td><td>0.04</td><td>4.0</td>" in page
    assert "<td>snap2caption/2</td><td>witty</td><td>1</td><td>0 %</td><td>0.00</td><td>1.0</td>" in page
    assert "<td>8</td><td>2</td><td>1</td><td>2.0</td><td>0</td>" in page
    assert "Agreement 100 %" in page
    assert "over 1 pairs" in page
    assert "wrong_place" in page
    assert "offensive" not in page
    assert "dataset-9" in page
    assert "<td>cider</td><td>1.25</td><td>1</td>" in page


def test_what_creators_wrote_is_no_markup(store: ObjectStore, put: Put, tmp_path: Path) -> None:
    one = feedback(1, shown=Words(caption=SCRIPT), edited=Words(caption=f"{SCRIPT} mine"), model_version=SCRIPT)
    put(record_key(one), one)
    out = tmp_path / "report.html"
    write_report(store, RetrainingSummary(fault=SCRIPT), out)
    page = out.read_text()
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page


def test_without_any_feedback_there_is_a_page_too(tmp_path: Path) -> None:
    environment = {
        "PATH": "/usr/bin:/bin",
        "SNAP2CAPTION_FEEDBACK_URI": (tmp_path / "store").as_uri(),
        "SNAP2CAPTION_MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    }
    out = tmp_path / "report.html"
    command = [sys.executable, "-m", "snap2caption", "feedback", "report", "--out", str(out)]
    result = forks.run_command(command, environment)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == str(out)
    page = out.read_text()
    assert "There is no feedback yet." in page
    assert "MLflow at http://127.0.0.1:9" in page
