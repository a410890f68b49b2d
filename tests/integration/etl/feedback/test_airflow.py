"""The webhook's event in a real Airflow. It takes half a minute to start, so only `make chaos-label-studio` runs it."""

import os
from dataclasses import replace
from pathlib import Path

import patience
import pytest

from demo.airflow import AirflowClient
from demo.stack.ports import Ports
from demo.stack.services.airflow import WEBHOOK_USER, airflow
from demo.stack.services.label_studio import label_studio, label_studio_webhook
from demo.stack.stack import Stack
from etl.feedback.label_studio.signature import HEADER, sign

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif("CHAOS_LABEL_STUDIO_ROUNDS" not in os.environ, reason="`make chaos-label-studio` runs it"),
]

REFUSED = {
    "dags/listener/dagRuns": {"logical_date": None},
    "connections": {"connection_id": "theirs", "conn_type": "http", "host": "example.com"},
    "variables": {"key": "theirs", "value": "theirs"},
    "pools": {"name": "theirs", "slots": 1},
    "backfills": {"dag_id": "listener", "from_date": "2026-01-01T00:00:00Z", "to_date": "2026-01-02T00:00:00Z"},
}
"""What the receiver of the webhook may not do in Airflow."""

DAG = """
from airflow.sdk import dag, task
from plugins.assets import ANNOTATIONS

@dag(schedule=[ANNOTATIONS], catchup=False)
def listener():
    task(lambda: None, task_id="nothing")()

listener()
"""


def test_a_delivery_starts_the_dag_that_waits_for_annotations(s3_environment: dict[str, str], tmp_path: Path) -> None:
    ports = Ports(tmp_path / "ports.json")
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "listener_dag.py").write_text(DAG)
    airflow_service, access = airflow(tmp_path, ports, {})
    own = {**airflow_service.environment, "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags")}
    _, label_studio_access = label_studio(tmp_path, ports, s3_environment)
    receiver = label_studio_webhook(label_studio_access, access)

    def deliver(body: bytes) -> int:
        headers = {HEADER: sign(label_studio_access.webhook_secret)}
        return patience.post(label_studio_access.webhook_url, content=body, headers=headers).status_code

    with Stack(tmp_path) as stack:
        stack.start([replace(airflow_service, environment=own), receiver])
        with AirflowClient(access) as client:
            patience.until(lambda: client.knows("listener"))
            client.unpause("listener")
            assert [deliver(b'{"annotation": 7}') for _ in range(5)] == [204] * 5
            patience.until(lambda: client.runs("listener"))
            (run,) = client.runs("listener")
            for _ in client.watch("listener", run, patience.LONGEST):
                pass
            assert client.runs("listener") == [run]
        login = {"username": WEBHOOK_USER, "password": access.webhook_password}
        token = patience.post(f"{access.url}/auth/token", json=login).json()["access_token"]
        allowed = {"Authorization": f"Bearer {token}"}
        for path, body in REFUSED.items():
            assert patience.post(f"{access.url}/api/v2/{path}", json=body, headers=allowed).status_code == 403, path
