from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from plugins.operators.command import CommandOperator
from plugins.operators.etl import ExtractOperator, PlanOperator, find_curation
from snap2caption.settings import Settings

pytestmark = pytest.mark.unit

PLAN: dict[str, Any] = {"corpus": "corpus.zip", "cities": [], "seed": 0, "slice_pairs": 5, "keep_metadata": False}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return the options of the commands that are run, instead of running them."""
    found: list[dict[str, Any]] = []

    def run(_: CommandOperator, *_operands: str, **options: Any) -> dict[str, Any]:
        found.append(options)
        return {"path": "corpus.zip", "work": "work", "slices": 2}

    monkeypatch.setattr(CommandOperator, "run", run)
    return found


def test_the_form_names_a_curation_of_the_installation(asked: list[dict[str, Any]]) -> None:
    for name, expected in (("instagram.yaml", Settings().configs_dir / "curation" / "instagram.yaml"), ("", None)):
        plan = PlanOperator(task_id="plan", **PLAN, curation=name)
        assert plan.execute({"ti": SimpleNamespace(xcom_push=lambda **_: None)}) == [0, 1]
        assert asked[-1]["curation"] == (expected and expected.resolve())


@pytest.mark.parametrize("name", ["../demo.yaml", "/etc/hostname", "none.yaml", ".", 7, "instagram.yaml\0"])
def test_another_file_is_refused_before_the_download(asked: list[dict[str, Any]], name: Any) -> None:
    extract = ExtractOperator(task_id="extract", sha256="", size=0)
    with pytest.raises(AirflowFailException, match="There is no curation "):
        extract.execute({"params": {"urls": [], "curation": name}})
    assert not asked


@pytest.mark.parametrize(
    ("work", "downloads"),
    [(None, "/state/downloads"), ("file:///work", "/state/downloads"), ("s3://etl/work/", "s3://etl/work/downloads")],
)
def test_the_zip_is_where_the_work_is(
    asked: list[dict[str, Any]], work: str | None, downloads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNAP2CAPTION_STATE_DIR", "/state")
    monkeypatch.delenv("SNAP2CAPTION_WORK_URI", raising=False)
    if work:
        monkeypatch.setenv("SNAP2CAPTION_WORK_URI", work)
    ExtractOperator(task_id="extract", sha256="", size=0).execute({"params": {"urls": []}})
    PlanOperator(task_id="plan", **PLAN).execute({"ti": SimpleNamespace(xcom_push=lambda **_: None)})
    assert [str(options["out"]) for options in asked] == [downloads, work or "file:///state/work"]


def test_no_curation_is_none() -> None:
    assert find_curation("") is find_curation(None) is None
