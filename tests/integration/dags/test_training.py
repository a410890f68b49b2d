"""What the gate says of a model that has diverged, in a real Airflow: a refusal that it can keep, and nothing is
promoted.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gate_world import World
from tiny import recipe_content, write_dataset

from snap2caption.settings import Settings
from training.pipeline import train
from training.recipes.recipe import Recipe
from training.tracking.runs import connect

pytestmark = pytest.mark.integration

DAG = """
from airflow.sdk import Param, dag
from plugins.operators.training import GateOperator, PromoteOperator

@dag(schedule=None, params={"run_id": Param("", type="string")}, render_template_as_native_obj=True)
def judging():
    gate = GateOperator(task_id="gate", run_id="{{ params.run_id }}")
    PromoteOperator(task_id="promote", verdict=gate.output)

judging()
"""

RUN = """
import json, sys
from airflow.dag_processing.dagbag import DagBag

dag = DagBag(sys.argv[1]).dags["judging"]
run = dag.test(run_conf={"run_id": sys.argv[2]})
kept = run.get_task_instance("gate").xcom_pull(task_ids="gate")
states = {task.task_id: str(task.state) for task in run.get_task_instances()}
print(json.dumps({"states": states, "verdict": kept}, allow_nan=False))
"""


@pytest.fixture
def diverged(tracking_uri: str, artifacts_dir: Path, models_dir: Path, tmp_path: Path) -> World:
    """A model whose evaluation has a loss and scores that are no numbers, as its only run."""
    write_dataset(tmp_path / "v1", {"train": 12, "validation": 3, "test": 6})
    settings = Settings(
        state_dir=tmp_path / "state",
        models_dir=models_dir,
        mlflow_tracking_uri=tracking_uri,
        registered_model="diverged",
    )
    content = recipe_content((tmp_path / "v1").as_uri())
    content["training"] = {**content["training"], "learning_rate": 0, "num_train_epochs": 1}
    content |= {
        "evaluation": {"batch_size": 6, "max_new_tokens": 16},
        "gate": {"latency_photos": 1, "bootstrap_samples": 100},
        "tracking": {"experiment_name": "diverged", "log_system_metrics": False},
    }
    run_id = train(Recipe.model_validate(content), settings)
    return World(settings, connect(tracking_uri), artifacts_dir, run_id, run_id, run_id, run_id)


def test_a_diverged_model_is_a_rejection(diverged: World, run_airflow: Callable[..., Any], tmp_path: Path) -> None:
    run_id = diverged.copy(
        diverged.learned,
        lambda found: found.model_copy(
            update={"loss": math.nan, "overall": found.overall.model_copy(update={"cider": math.inf})}
        ),
    )
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "judging_dag.py").write_text(DAG)
    settings = diverged.settings
    found = run_airflow(
        tmp_path / "dags",
        RUN,
        run_id,
        SNAP2CAPTION_STATE_DIR=str(settings.state_dir),
        SNAP2CAPTION_MODELS_DIR=str(settings.models_dir),
        SNAP2CAPTION_MLFLOW_TRACKING_URI=settings.mlflow_tracking_uri,
        SNAP2CAPTION_REGISTERED_MODEL=settings.registered_model,
    )
    assert found["states"] == {"gate": "success", "promote": "skipped"}
    assert found["verdict"]["admitted"] is False
    (loss,) = [rule for rule in found["verdict"]["rules"] if rule["name"] == "loss"]
    assert (loss["passed"], loss["candidate"]) == (False, "NaN")
    assert diverged.client.get_run(run_id).data.tags["gate.admitted"] == "false"
    json.dumps(found, allow_nan=False)
