"""What a run was triggered with, in a real Airflow: a parameter that the DAG does not know is refused by the first
task, and nothing is done.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dags

pytestmark = pytest.mark.integration

RUN = """
import json, sys
from airflow.dag_processing.dagbag import DagBag

found = {}
for dag_id, conf in json.loads(sys.argv[2]).items():
    dag = DagBag(sys.argv[1]).dags[dag_id]
    told = []
    for task in dag.tasks:
        task.on_failure_callback = [lambda context: told.append(str(context["exception"]))]
    run = dag.test(run_conf=conf)
    tasks = run.get_task_instances()
    tries = max(task.try_number for task in tasks)
    found[dag_id] = {"states": {task.task_id: str(task.state) for task in tasks}, "told": told, "tries": tries}
print(json.dumps(found))
"""

SLIPS = {
    "etl": ({"urls": ["http://127.0.0.1:9/corpus.zip"], "citys": ["chicago"]}, "citys", "did you mean 'cities'?"),
    "training": ({"epochs": 2}, "epochs", "it has approval, config, dataset_uri, overrides."),
    "feedback": ({"aproval": True}, "aproval", "did you mean 'approval'?"),
    "rollback": ({"version": 3}, "version", "it has none."),
}


@pytest.fixture(scope="module")
def outcome(run_airflow_once: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    state = tmp_path_factory.mktemp("state")
    found = run_airflow_once(
        Path(dags.__file__).parent,
        RUN,
        json.dumps({dag: conf for dag, (conf, _, _) in SLIPS.items()}),
        SNAP2CAPTION_STATE_DIR=str(state),
    )
    assert list(state.iterdir()) == [], "nothing was begun"
    return found


@pytest.mark.parametrize("dag", SLIPS)
def test_an_unknown_parameter_is_refused_by_the_first_task(outcome: Any, dag: str) -> None:
    _, key, hint = SLIPS[dag]
    sentence = f"The DAG {dag!r} has no parameter {key!r}; {hint} Trigger it again without {key!r}."
    assert set(outcome[dag]["told"]) == {sentence}
    # Trying again would not help.
    assert outcome[dag]["tries"] <= 1
    assert set(outcome[dag]["states"].values()) <= {"failed", "upstream_failed"}
