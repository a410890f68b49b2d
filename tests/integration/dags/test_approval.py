"""A person's approval, in a real Airflow: the task parks itself by the execution API, and a person answers by the
REST API that the UI uses.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snap2caption.registry.verdict import GateVerdict, RuleResult

pytestmark = pytest.mark.integration

DAG = """
from datetime import timedelta
from airflow.sdk import Param, dag, task
from plugins.operators.approval import PromotionApproval

PARAMS = {"approval": Param(False, type="boolean"), "verdict": Param({}, type="object")}

@dag(schedule=None, params=PARAMS, render_template_as_native_obj=True)
def asking():
    approve = PromotionApproval(
        task_id="approve", asked="{{ params.approval }}", verdict="{{ params.verdict }}", patience=timedelta(hours=1),
        execution_timeout=timedelta(minutes=30),
    )
    approve >> task(lambda: "promoted", task_id="promote")()

asking()
"""

RUN = """
import json, sys, threading, time
from airflow.api_fastapi.app import create_app
from airflow.dag_processing.dagbag import DagBag
from fastapi.testclient import TestClient

dag = DagBag(sys.argv[1]).dags["asking"]
person = TestClient(create_app(apps="core"), raise_server_exceptions=False)
person.headers["Authorization"] = f"Bearer {person.get('/auth/token').json()['access_token']}"
seen = []

def answer(option):
    # As the page of required actions does, and again if the run has locked the database.
    done = None
    while done is None or not done.is_success:
        time.sleep(0.1)
        found = person.get("/api/v2/dags/~/dagRuns/~/hitlDetails", params={"response_received": False})
        for asked in found.json()["hitl_details"] if found.is_success else ():
            where = asked["task_instance"]
            if where["state"] == "awaiting_input":
                path = f"/api/v2/dags/asking/dagRuns/{where['dag_run_id']}/taskInstances/approve/-1/hitlDetails"
                done = person.patch(path, json={"chosen_options": [option], "params_input": {}})
    seen.append({**{name: asked[name] for name in ("subject", "body", "options", "defaults")}, "status": done.status_code})

found = []
for case in json.loads(sys.argv[2]):
    # A daemon: if it fails, we wait for nobody until our time is up.
    thread = threading.Thread(target=answer, args=(case["answer"],), daemon=True)
    if case["answer"]:
        thread.start()
    run = dag.test(run_conf=case["conf"])
    if case["answer"]:
        thread.join()
    found.append({task.task_id: str(task.state) for task in run.get_task_instances()})
print(json.dumps({"states": found, "seen": seen}))
"""


def verdict(*, admitted: bool) -> dict[str, Any]:
    rule = RuleResult(name="CIDEr", passed=admitted, candidate=1.5, incumbent=1.25, reason="CIDEr is 1.500.")
    return GateVerdict(run_id="r1", dataset_version="d1", incumbent="champion v3", rules=(rule,)).model_dump(
        mode="json"
    )


@pytest.fixture(scope="module")
def outcome(run_airflow_once: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    dags: Path = tmp_path_factory.mktemp("dags")
    (dags / "asking_dag.py").write_text(DAG)
    admitted, refused = verdict(admitted=True), verdict(admitted=False)
    cases = [
        {"conf": {"approval": False, "verdict": admitted}, "answer": ""},
        {"conf": {"approval": True, "verdict": refused}, "answer": ""},
        {"conf": {"approval": True, "verdict": admitted}, "answer": "Approve"},
        {"conf": {"approval": True, "verdict": admitted}, "answer": "Reject"},
    ]
    found: dict[str, Any] = run_airflow_once(
        dags,
        RUN,
        json.dumps(cases),
        AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS="True",
        AIRFLOW__API_AUTH__JWT_SECRET="0" * 64,
        AIRFLOW__API__SECRET_KEY="0" * 64,
    )
    return found


def test_without_it_nobody_is_asked(outcome: dict[str, Any]) -> None:
    assert outcome["states"][0] == {"approve": "success", "promote": "success"}
    assert len(outcome["seen"]) == 2


def test_nobody_is_asked_about_a_model_that_the_gate_refused(outcome: dict[str, Any]) -> None:
    # The promotion itself says why not, and skips.
    assert outcome["states"][1] == {"approve": "success", "promote": "success"}


def test_an_approval_lets_the_promotion_run(outcome: dict[str, Any]) -> None:
    assert outcome["states"][2] == {"approve": "success", "promote": "success"}


def test_a_rejection_skips_it(outcome: dict[str, Any]) -> None:
    assert outcome["states"][3] == {"approve": "success", "promote": "skipped"}


def test_the_person_sees_the_verdict(outcome: dict[str, Any]) -> None:
    for seen in outcome["seen"]:
        assert seen["status"] == 200
        assert seen["options"] == ["Approve", "Reject"]
        assert seen["defaults"] == ["Reject"]
        assert GateVerdict.model_validate(verdict(admitted=True)).table() in seen["body"]
        assert "`r1`" in seen["body"]
