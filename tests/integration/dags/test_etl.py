"""The DAG `etl` run task by task, as `airflow dags test` does, in a process of its own: importing Airflow warns about itself."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import dags
from demo.corpus.archive import write_corpus
from demo.stack import Stack
from demo.stack.ports import Ports
from demo.stack.services.files import files
from etl.transform import transform

pytestmark = pytest.mark.integration

PAIRS, SLICE_PAIRS = 90, 25

RUN = """
import json, sys
from airflow.dag_processing.dagbag import DagBag

dag = DagBag(sys.argv[1]).dags["etl"]
found = []
for _ in range(2):
    run = dag.test(run_conf=json.loads(sys.argv[2]))
    tasks = sorted((task.task_id, task.map_index, str(task.state)) for task in run.get_task_instances())
    merged = run.get_task_instance("transform.merge").xcom_pull(task_ids="transform.merge", map_indexes=-1)
    found.append({"tasks": tasks, "version": merged})
print(json.dumps(found))
"""


@pytest.fixture
def corpus_url(tmp_path: Path) -> Iterator[str]:
    service, address = files(tmp_path / "corpus", Ports(tmp_path / "ports.json"))
    write_corpus(tmp_path / "corpus" / "corpus.zip", PAIRS, 3, traps=True)
    with Stack(tmp_path) as stack:
        stack.start([service])
        yield f"{address}/corpus.zip"


def run(state: Path, home: Path, conf: dict[str, Any]) -> list[dict[str, Any]]:
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(Path(dags.__file__).parent),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(home / "plugins"),
        "SNAP2CAPTION_STATE_DIR": str(state),
        "SNAP2CAPTION_DATASETS_URI": (state / "datasets").as_uri(),
    }
    arguments = (str(Path(dags.__file__).parent), json.dumps(conf))
    for command in (("-m", "airflow", "db", "migrate"), ("-c", RUN, *arguments)):
        result = subprocess.run(
            [sys.executable, "-W", "ignore", *command],
            capture_output=True, text=True, env=environment, cwd=home, timeout=240, check=False,
        )  # fmt: skip
        assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]
    found: list[dict[str, Any]] = json.loads(result.stdout.splitlines()[-1])
    return found


def test_the_slices_of_a_run_give_the_version_of_one_process(corpus_url: str, tmp_path: Path) -> None:
    alone = transform(tmp_path / "corpus" / "corpus.zip", tmp_path / "alone", source_urls=[corpus_url])
    home = tmp_path / "airflow"
    home.mkdir()
    first, again = run(tmp_path / "state", home, {"urls": [corpus_url], "slice_pairs": SLICE_PAIRS})

    states = {(task, index): state for task, index, state in first["tasks"]}
    assert set(states.values()) == {"success"}
    assert [index for task, index in states if task == "transform.slice"] == [0, 1, 2, 3]
    shared = Path(first["version"])
    assert shared == tmp_path / "state" / "work" / alone.name
    assert {file.name: file.read_bytes() for file in shared.iterdir()} == {
        file.name: file.read_bytes() for file in alone.iterdir()
    }
    assert (tmp_path / "state" / "datasets" / alone.name / "manifest.json").exists()
    assert not list(shared.parent.glob(".work-*"))

    # There is nothing to do, which is no failure.
    states = {task: state for task, _, state in again["tasks"]}
    assert states.pop("transform.slice") == "skipped"
    assert set(states.values()) == {"success"}
    assert again["version"] == first["version"]
