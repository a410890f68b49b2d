"""The pod of a task, from a row of the table. `tests/unit/infra/test_task_pods.py` has the way through Airflow."""

import json
from pathlib import Path

import pytest
from kubernetes.client import ApiClient

from plugins.policies import pod_override, task_pods
from snap2caption.errors import UserError
from snap2caption.settings import Settings, TaskPod, read_settings

pytestmark = pytest.mark.unit


def test_a_row_is_a_container_with_what_it_asks_for() -> None:
    pod = ApiClient().sanitize_for_serialization(pod_override(TaskPod(image="x:1", cpu="500m", memory="4Gi", gpu=2)))
    amounts = {"cpu": "500m", "memory": "4Gi", "nvidia.com/gpu": "2"}
    container = {"name": "base", "image": "x:1", "resources": {"limits": amounts, "requests": amounts}}
    assert pod == {"spec": {"containers": [container]}}


def test_a_row_without_an_image_keeps_that_of_the_template() -> None:
    (container,) = pod_override(TaskPod(cpu="1", memory="1Gi")).spec.containers
    assert container.image is None
    assert container.resources.limits == {"cpu": "1", "memory": "1Gi"}


@pytest.mark.parametrize(
    "row",
    ['{"cpu": "1"}', '{"cpu": "lots", "memory": "1Gi"}', '{"cpu": "1", "memory": "1", "gpus": 1}'],
    ids=["no memory", "no number", "misspelled"],
)
def test_a_wrong_table_is_refused_by_name(row: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNAP2CAPTION_TASK_PODS", f'{{"training.train": {row}}}')
    with pytest.raises(UserError, match="SNAP2CAPTION_TASK_PODS is wrong"):
        read_settings(Settings)


def test_a_file_is_read_anew_each_time(tmp_path: Path) -> None:
    table = tmp_path / "task_pods.json"
    settings = Settings(task_pods={"default": TaskPod(cpu="1", memory="1Gi")}, task_pods_file=table)
    for image in ("etl:1.0.0", "etl:1.1.0"):
        table.write_text(json.dumps({"default": {"image": image, "cpu": "2", "memory": "1Gi"}}), encoding="utf-8")
        assert task_pods(settings) == {"default": TaskPod(image=image, cpu="2", memory="1Gi")}


@pytest.mark.parametrize("content", [None, "", '{"default": {"cpu": "1"}}', "[]"])
def test_a_wrong_file_is_refused_by_name(content: str | None, tmp_path: Path) -> None:
    table = tmp_path / "task_pods.json"
    if content is not None:
        table.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=r"SNAP2CAPTION_TASK_PODS_FILE (is wrong|can't be read)"):
        task_pods(Settings(task_pods_file=table))
