from importlib.metadata import entry_points

import pytest

from plugins.links import (
    DataCardLink,
    DatasetLink,
    LabelStudioLink,
    MlflowRunLink,
    ModelVersionLink,
    ReportLink,
    ServiceLink,
    Snap2CaptionPlugin,
)
from snap2caption.settings import Settings

pytestmark = pytest.mark.unit

SETTINGS = Settings(
    mlflow_tracking_uri="http://mlflow:1",
    serving_url="http://captions:2",
    store_console_url="http://files:3/buckets",
    registered_model="model",
)


class Operator:
    def __init__(self, result: object) -> None:
        self.result = result


@pytest.mark.parametrize("result", ["abc", {"run_id": "abc"}])
def test_a_run_is_found_by_its_id(result: object) -> None:
    assert MlflowRunLink().address(result, SETTINGS) == "http://mlflow:1/#/runs/abc"


def test_no_link_holds_a_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNAP2CAPTION_MLFLOW_TRACKING_URI", "http://anna:topsecret@mlflow:1")
    operator = Operator({"run_id": "abc", "version": 3, "report": "http://anna:topsecret@mlflow:1/#/runs/abc"})
    links = [link().get_link(operator, ti_key=None) for link in (MlflowRunLink, ModelVersionLink, ReportLink)]
    assert links == [
        "http://mlflow:1/#/runs/abc",
        "http://mlflow:1/#/models/snap2caption/versions/3",
        "http://mlflow:1/#/runs/abc",
    ]


def test_a_console_with_a_path_parameter_is_linked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SNAP2CAPTION_STORE_CONSOLE_URL", "http://anna:topsecret@files:3/files?path=/buckets")
    monkeypatch.setenv("SNAP2CAPTION_STORE_FILES_URL", "http://anna:topsecret@files:3/get?path=/buckets")
    operator = Operator({"uri": "s3://bucket/datasets/v1"})
    assert [link().get_link(operator, ti_key=None) for link in (DatasetLink, DataCardLink)] == [
        "http://files:3/files?path=/buckets/bucket/datasets/v1/",
        "http://files:3/get?path=/buckets/bucket/datasets/v1/card.html",
    ]


def test_an_evaluation_leads_to_its_report() -> None:
    page = "http://mlflow:1/#/experiments/2/runs/abc/artifacts/report.html"
    assert ReportLink().address({"run_id": "abc", "report": page}, SETTINGS) == page


def test_a_promoted_version_leads_to_registry_and_service() -> None:
    assert ModelVersionLink().address({"version": 3}, SETTINGS) == "http://mlflow:1/#/models/model/versions/3"
    assert ServiceLink().address({"version": 3}, SETTINGS) == "http://captions:2/docs"


def test_a_dataset_leads_to_its_folder() -> None:
    folder = "http://files:3/buckets/bucket/datasets/v1/"
    assert DatasetLink().address({"uri": "s3://bucket/datasets/v1"}, SETTINGS) == folder
    assert DataCardLink().address({"uri": "s3://bucket/datasets/v1"}, SETTINGS) == f"{folder}card.html"


def test_tasks_and_annotations_lead_to_their_project() -> None:
    page = "http://label-studio:4/projects/7"
    assert LabelStudioLink().address({"project": page, "created": 3}, SETTINGS) == page


def test_without_a_console_there_is_no_dataset_link() -> None:
    settings = SETTINGS.model_copy(update={"store_console_url": ""})
    assert (
        DatasetLink().address({"uri": "s3://bucket/v1"}, settings)
        == DataCardLink().address({"uri": "s3://bucket/v1"}, settings)
        == ""
    )


def test_a_task_that_has_no_result_has_no_link() -> None:
    assert MlflowRunLink().get_link(Operator(None), ti_key=None) == ""


def test_airflow_finds_the_plugin_as_an_entry_point() -> None:
    (found,) = entry_points(group="airflow.plugins", name="snap2caption")
    assert found.load() is Snap2CaptionPlugin
