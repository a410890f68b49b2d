"""The DAG files as Airflow reads them, in a process of its own: importing Airflow warns about itself."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from patience import LONGEST

import dags
from etl.feedback.kinds import ReviewReason, Shares
from snap2caption.settings import ROOT

pytestmark = pytest.mark.unit

FOLDER = Path(dags.__file__).parent
FILES = sorted(path.name for path in FOLDER.glob("*_dag.py"))

READ = """
import json, sys
from types import SimpleNamespace
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import AirflowFailException

def refusals(dag, conf):
    said = {}
    for task in dag.roots:
        try:
            task.pre_execute({"dag": dag, "dag_run": SimpleNamespace(conf=conf)})
        except AirflowFailException as error:
            said[task.task_id] = str(error)
    return said

FIELDS = ("retries", "retry_delay", "execution_timeout")
bag = DagBag(sys.argv[1])
heavy = set(sys.argv[2].split(",")) & sys.modules.keys()
print(json.dumps({
    "errors": bag.import_errors,
    "heavy": sorted(heavy),
    "dags": {
        dag_id: {
            "params": {name: {"description": param.description, "default": param.value, **param.schema} for name, param in dag.params.items()},
            "refusals": [refusals(dag, conf) for conf in (None, {name: None for name in dag.params}, {"sed": 1, **dict.fromkeys(dag.params)})],
            "schedule": str(dag.schedule),
            "asset": str(getattr(dag.schedule, "asset_condition", None)),
            "cron": getattr(getattr(dag.schedule, "timetable", None), "expression", None),
            "tasks": {
                task.task_id: {
                    "retries": task.retries,
                    "timeout": task.execution_timeout and task.execution_timeout.total_seconds(),
                    "upstream": sorted(task.upstream_task_ids),
                    "outlets": [outlet.name for outlet in task.outlets],
                    "links": [link.name for link in task.operator_extra_links],
                }
                for task in dag.tasks
            },
        }
        for dag_id, dag in bag.dags.items()
    },
}))
"""
HEAVY = "torch,transformers,peft,mlflow,boto3,botocore,swiftclient,aria2p,duckdb,pyarrow,pandas,matplotlib,etl.extract"


@dataclass(frozen=True)
class Read:
    errors: dict[str, str]
    heavy: list[str]
    dags: dict[str, Any]


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Read:
    return read_in(tmp_path_factory.mktemp("airflow"))


def read_in(home: Path, **environment: str) -> Read:
    settings = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(FOLDER),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(home / "plugins"),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
    }
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", READ, str(FOLDER), HEAVY],
        capture_output=True,
        text=True,
        env={**os.environ, **settings, **environment},
        cwd=home,
        timeout=LONGEST,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return Read(**json.loads(result.stdout.splitlines()[-1]))


def test_every_file_is_read_without_an_error(read: Read) -> None:
    assert read.errors == {}
    assert set(read.dags) == {"etl", "training", "rollback", "feedback"}


def test_reading_loads_nothing_heavy(read: Read) -> None:
    assert read.heavy == []


def test_every_task_has_a_time_out_and_retries(read: Read) -> None:
    for dag_id, dag in read.dags.items():
        for task_id, task in dag["tasks"].items():
            assert task["timeout"], f"{dag_id}.{task_id}"
            assert task["retries"] == (1 if dag_id == "rollback" else 2), f"{dag_id}.{task_id}"


def test_each_first_task_refuses_an_unknown_parameter(read: Read) -> None:
    for dag_id, dag in read.dags.items():
        nothing, known, unknown = dag["refusals"]
        assert nothing == known == {}
        hint = (
            "did you mean 'seed'?"
            if "seed" in dag["params"]
            else f"it has {', '.join(sorted(dag['params'])) or 'none'}."
        )
        sentence = f"The DAG {dag_id!r} has no parameter 'sed'; {hint} Trigger it again without 'sed'."
        roots = [task_id for task_id, task in dag["tasks"].items() if not task["upstream"]]
        assert unknown == dict.fromkeys(roots, sentence)


def test_stages_follow_one_another(read: Read) -> None:
    upstream = {
        f"{dag_id}.{task_id}": task["upstream"]
        for dag_id, dag in read.dags.items()
        for task_id, task in dag["tasks"].items()
    }
    assert upstream == {
        "etl.extract": [],
        "etl.transform.plan": ["extract"],
        "etl.transform.slice": ["transform.plan"],
        "etl.transform.merge": ["transform.plan", "transform.slice"],
        "etl.load": ["transform.merge"],
        "training.train": [],
        "training.gate": ["train"],
        "training.approve": ["gate"],
        "training.promote": ["approve", "gate"],
        "rollback.rollback": [],
        "feedback.withdraw": [],
        "feedback.collect": [],
        "feedback.sample": ["collect"],
        "feedback.push": ["sample"],
        "feedback.pull": ["push"],
        "feedback.validate": ["pull"],
        "feedback.build": ["validate"],
        "feedback.retrain": ["build"],
        "feedback.note": ["build", "retrain"],
    }


def test_loading_a_dataset_starts_the_training(read: Read) -> None:
    assert read.dags["etl"]["tasks"]["load"]["outlets"] == ["snap2caption_dataset"]
    assert "snap2caption_dataset" in read.dags["training"]["schedule"]


def test_the_feedback_loop_runs_daily_and_by_label_studio(read: Read) -> None:
    assert "snap2caption://annotations" in read.dags["feedback"]["asset"]
    assert read.dags["feedback"]["cron"] == "0 3 * * *"


def test_nobody_is_asked_for_approval_by_default(read: Read, tmp_path: Path) -> None:
    asking = read_in(tmp_path, SNAP2CAPTION_APPROVAL="true")
    for dag in ("training", "feedback"):
        assert read.dags[dag]["params"]["approval"]["default"] is False
        assert asking.dags[dag]["params"]["approval"]["default"] is True


def test_every_parameter_is_described_and_typed(read: Read) -> None:
    assert set(read.dags["etl"]["params"]) == {
        "urls",
        "sha256",
        "size",
        "cities",
        "seed",
        "slice_pairs",
        "keep_metadata",
        "curation",
        "datasets_uri",
    }
    assert set(read.dags["feedback"]["params"]) == {
        "flagged",
        "edited",
        "low_rated",
        "low_confidence",
        "random",
        "seed",
        "at_least",
        "erased",
        "dataset_uri",
        "config",
        "overrides",
        "approval",
    }
    assert set(read.dags["training"]["params"]) == {"config", "overrides", "dataset_uri", "approval"}
    for dag in read.dags.values():
        for schema in dag["params"].values():
            assert schema["type"]
            assert schema["title"]
            assert schema["description"]


def test_tasks_lead_to_what_they_made(read: Read) -> None:
    assert read.dags["etl"]["tasks"]["load"]["links"] == ["Object store", "Data card"]
    assert read.dags["training"]["tasks"]["train"]["links"] == ["MLflow run", "Evaluation report"]
    assert read.dags["training"]["tasks"]["promote"]["links"] == ["Registered model", "Service"]


def test_no_dag_file_hides_a_package() -> None:
    """Airflow puts the folder on the module path."""
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert not packages & {path.stem for path in FOLDER.glob("*.py")}


def test_the_form_of_feedback_starts_from_the_commands_shares(read: Read) -> None:
    form, shares = read.dags["feedback"]["params"], Shares()
    for kind in ReviewReason:
        assert form[kind]["default"] == getattr(shares, kind)
