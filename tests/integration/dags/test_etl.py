"""The DAG `etl` run task by task, as `airflow dags test` does."""

import json
from collections.abc import Callable, Iterator
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

PAIRS, SLICE_PAIRS = 60, 25

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


def test_the_slices_of_a_run_give_the_version_of_one_process(
    run_airflow: Callable[..., Any], corpus_url: str, tmp_path: Path
) -> None:
    alone = transform(tmp_path / "corpus" / "corpus.zip", tmp_path / "alone", source_urls=[corpus_url])
    state = tmp_path / "state"
    first, again = run_airflow(
        Path(dags.__file__).parent,
        RUN,
        json.dumps({"urls": [corpus_url], "slice_pairs": SLICE_PAIRS}),
        SNAP2CAPTION_STATE_DIR=str(state),
        SNAP2CAPTION_DATASETS_URI=(state / "datasets").as_uri(),
    )

    states = {(task, index): state for task, index, state in first["tasks"]}
    assert set(states.values()) == {"success"}
    assert [index for task, index in states if task == "transform.slice"] == [0, 1, 2]
    shared = Path(first["version"])
    assert shared == state / "work" / alone.name
    assert {file.name: file.read_bytes() for file in shared.iterdir()} == {
        file.name: file.read_bytes() for file in alone.iterdir()
    }
    assert (state / "datasets" / alone.name / "manifest.json").exists()
    assert not list(shared.parent.glob(".work-*"))

    # There is nothing to do, which is no failure.
    states = {task: state for task, _, state in again["tasks"]}
    assert states.pop("transform.slice") == "skipped"
    assert set(states.values()) == {"success"}
    assert again["version"] == first["version"]
