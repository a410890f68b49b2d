"""Airflow's tasks as pods: from the chart's table through Airflow's own serialization and pod generator to a pod.

Airflow runs in a process of its own: importing it warns about itself.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from patience import LONGEST

import dags
from infra.validation.__main__ import KUBERNETES
from infra.validation.render import CHART, Manifest
from snap2caption.settings import TaskPod

pytestmark = pytest.mark.unit

FOLDER = Path(dags.__file__).parent
MAKE = """
import json, os, sys
from airflow.dag_processing.dagbag import DagBag
from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from airflow.serialization.serialized_objects import DagSerialization

def pod(dag_id, task):
    override = task.executor_config.get("pod_override")
    if override is None:
        return None
    made = PodGenerator.construct_pod(
        dag_id=dag_id, task_id=task.task_id, pod_id="task-1", try_number=1, kube_image="none", date=None, args=["python"],
        pod_override_object=override, base_worker_pod=PodGenerator.deserialize_model_file(sys.argv[2]),
        namespace="snap2caption-production", scheduler_job_id="1",
    )
    return PodGenerator.serialize_pod(made)

def pods():
    bag = DagBag(sys.argv[1])
    assert not bag.import_errors, bag.import_errors
    # As the scheduler reads them from the database.
    read = [DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag)))) for dag in bag.dags.values()]
    return {f"{dag.dag_id}.{task.task_id}": pod(dag.dag_id, task) for dag in read for task in dag.tasks}

alone = pods()
os.environ["SNAP2CAPTION_TASK_PODS_FILE"] = sys.argv[3]
print(json.dumps([alone, pods()]))
"""
Pods = dict[str, Manifest | None]


@pytest.fixture(scope="module")
def table(rendered: dict[str, list[Manifest]]) -> dict[str, Any]:
    (found,) = [m["data"] for m in rendered["production"] if m["metadata"]["name"] == "task-pods"]
    rows: dict[str, Any] = json.loads(found["task_pods.json"])
    return rows


@pytest.fixture(scope="module")
def both(
    rendered: dict[str, list[Manifest]], table: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> list[Pods]:
    """Return the pod of each task, by ``DAG.TASK``: without a table, and with it."""
    home = tmp_path_factory.mktemp("airflow")
    (template,) = [m["data"] for m in rendered["production"] if m["metadata"]["name"] == "pod-template"]
    (home / "template.yaml").write_text(template["pod_template_file.yaml"], encoding="utf-8")
    (home / "task_pods.json").write_text(json.dumps(table), encoding="utf-8")
    settings = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(FOLDER),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(home / "plugins"),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
    }
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            MAKE,
            str(FOLDER),
            str(home / "template.yaml"),
            str(home / "task_pods.json"),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, **settings},
        cwd=home,
        timeout=LONGEST,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pods: list[Pods] = json.loads(done.stdout.splitlines()[-1])
    return pods


@pytest.fixture(scope="module")
def pods(both: list[Pods]) -> Pods:
    return both[1]


def test_every_row_of_the_table_is_a_task(table: dict[str, Any], pods: Pods) -> None:
    assert table.keys() - {"default"} <= pods.keys()
    for row in table.values():
        TaskPod.model_validate(row)


def test_each_task_gets_its_image_and_resources(table: dict[str, Any], pods: Pods) -> None:
    for task, pod in pods.items():
        row = table.get(task, table["default"])
        assert pod is not None, task
        (container,) = pod["spec"]["containers"]
        gpus = {"nvidia.com/gpu": str(row["gpu"])} if "gpu" in row else {}
        amounts = {"cpu": row["cpu"], "memory": row["memory"], **gpus}
        assert container["image"] == row["image"], task
        assert container["resources"] == {"requests": amounts, "limits": amounts}, task
    # A mapped task's configuration is in another place than that of others.
    assert table["etl.transform.slice"]["cpu"] != table["default"]["cpu"]
    assert "nvidia.com/gpu" in str(pods["training.train"])


def test_pods_keep_what_the_template_says(rendered: dict[str, list[Manifest]], pods: Pods) -> None:
    (data,) = [m["data"] for m in rendered["production"] if m["metadata"]["name"] == "pod-template"]
    template = yaml.safe_load(data["pod_template_file.yaml"])
    base = template["spec"]["containers"][0]
    for task, pod in pods.items():
        assert pod is not None
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)
        (container,) = pod["spec"]["containers"]
        assert container["securityContext"] == base["securityContext"], task
        assert container["volumeMounts"] == base["volumeMounts"], task
        assert {e["name"] for e in base["env"]} < {e["name"] for e in container["env"]}, task
        assert pod["spec"]["securityContext"] == template["spec"]["securityContext"], task
        # Network policies know it by these.
        assert template["metadata"]["labels"].items() <= pod["metadata"]["labels"].items(), task
        assert container["args"] == ["python"], task


def test_images_run_what_their_tasks_need(table: dict[str, Any]) -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))["tasks"]["pods"]
    for task, row in values.items():
        trains = task.startswith(("training.", "rollback."))
        assert (row["image"] == "etl") != trains, task
        assert (row["image"] == "pipelines-cuda") == ("gpu" in row), task


def test_on_one_machine_tasks_stay_as_they_are(both: list[Pods]) -> None:
    alone, pods = both
    assert alone == dict.fromkeys(pods)
