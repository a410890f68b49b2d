"""What a real Airflow sends as StatsD is what `monitoring/statsd/mapping.yml` translates.

The StatsD exporter itself can't be had here; its patterns (a star for each part between dots) are matched as it documents.
"""

import re
from typing import TYPE_CHECKING

import pytest
import yaml

from snap2caption.settings import ROOT

if TYPE_CHECKING:
    from conftest import RunAirflow

pytestmark = pytest.mark.integration

DAGS = """
from airflow.sdk import dag, task

def good():
    return 1

def bad():
    raise RuntimeError("on purpose")

def make(name, work):
    @dag(dag_id=name, schedule=None)
    def made():
        task(task_id="step")(work)()
    return made()

etl, training = make("etl", good), make("training", bad)
"""

PROGRAM = """
import json, os, socket, sys
receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiver.bind(("127.0.0.1", 0))
receiver.settimeout(1)
os.environ["AIRFLOW__METRICS__STATSD_ON"] = "True"
os.environ["AIRFLOW__METRICS__STATSD_PORT"] = str(receiver.getsockname()[1])
from airflow.dag_processing.dagbag import DagBag
from airflow.observability.metrics import stats_utils
from airflow.sdk import timezone
from airflow._shared.observability.metrics import stats

# As the scheduler begins.
stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=True)
stats.incr("scheduler_heartbeat", 1, 1)
for name in ("etl", "training"):
    run = DagBag(sys.argv[1]).dags[name].test()
    # The scheduler sends this at the end of a run; a run in a test has no start.
    run.start_date = run.end_date = timezone.utcnow()
    run._emit_duration_stats_for_finished_state()
sent = []
try:
    while True:
        sent += receiver.recv(65536).decode().splitlines()
except TimeoutError:
    print(json.dumps(sent))
"""


def test_the_runs_of_dags_become_metrics(run_airflow: "RunAirflow", tmp_path) -> None:
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "two.py").write_text(DAGS)
    sent = [line.partition(":")[0] for line in run_airflow(dags, PROGRAM)]
    found = {name: translate(name) for name in sent}
    assert ("airflow_dagrun_success_seconds", {"dag_id": "etl"}) in found.values()
    assert ("airflow_dagrun_failed_seconds", {"dag_id": "training"}) in found.values()
    assert ("airflow_scheduler_heartbeat_total", {}) in found.values()
    assert (
        "airflow_tasks_finished_total",
        {"dag_id": "training", "task_id": "step", "state": "failed"},
    ) in found.values()


def translate(sent: str) -> tuple[str, dict[str, str]] | None:
    """Return the metric and its labels, as the exporter's first rule that matches gives them; None: dropped."""
    rules = yaml.safe_load((ROOT / "monitoring" / "statsd" / "mapping.yml").read_text())["mappings"]
    for rule in rules:
        pattern = (
            rule["match"] if rule.get("match_type") == "regex" else re.escape(rule["match"]).replace(r"\*", "([^.]*)")
        )
        match = re.search(pattern, sent) if rule.get("match_type") == "regex" else re.fullmatch(pattern, sent)
        if match and rule.get("action") != "drop":
            labels = {name: match[int(value.removeprefix("$"))] for name, value in rule.get("labels", {}).items()}
            return rule["name"], labels
        if match:
            return None
    return None
