"""The DAG `etl` run task by task, as `airflow dags test` does."""

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from contents import read

import dags
from demo.corpus.archive import write_corpus
from demo.stack import Stack
from demo.stack.ports import Ports
from demo.stack.services.files import files
from etl.transform import transform
from etl.transform.curation.settings import load_curation
from snap2caption.settings import Settings
from snap2caption.store import open_store

pytestmark = pytest.mark.integration

PAIRS, SLICE_PAIRS = 60, 35
CURATION = "instagram.yaml"

RUN = """
import json, sys
from pathlib import Path
from airflow.dag_processing.dagbag import DagBag

dag = DagBag(sys.argv[1]).dags["etl"]
found = []
for turn in range(3):
    if turn == 2:
        next(Path(merged).glob("train-*.tar")).write_bytes(b"damaged")
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
        yield f"{address.replace('://', '://anna:topsecret@')}/corpus.zip?X-Amz-Signature=topsecret"


def test_the_slices_of_a_run_give_the_version_of_one_process(
    run_airflow: Callable[..., Any], corpus_url: str, tmp_path: Path
) -> None:
    curation = load_curation(Settings().configs_dir / "curation" / CURATION)
    corpus = tmp_path / "corpus" / "corpus.zip"
    alone = transform(corpus, tmp_path / "alone", source_urls=[corpus_url], curation=curation)
    state = tmp_path / "state"
    first, again, damaged = run_airflow(
        Path(dags.__file__).parent,
        RUN,
        json.dumps({"urls": [corpus_url], "slice_pairs": SLICE_PAIRS, "curation": CURATION}),
        SNAP2CAPTION_STATE_DIR=str(state),
        SNAP2CAPTION_DATASETS_URI=(state / "datasets").as_uri(),
    )

    states = {(task, index): state for task, index, state in first["tasks"]}
    assert set(states.values()) == {"success"}
    assert [index for task, index in states if task == "transform.slice"] == [0, 1]
    shared = Path(first["version"])
    assert shared == state / "work" / alone.name
    assert content(shared) == content(alone)
    assert (state / "datasets" / alone.name / "manifest.json").exists()
    assert not list(shared.parent.glob(".work-*"))
    assert (shared.parent / f"rejected-{alone.name}.html").exists()

    # There is nothing to do, which is no failure.
    states = {task: state for task, _, state in again["tasks"]}
    assert states.pop("transform.slice") == "skipped"
    assert set(states.values()) == {"success"}
    assert again["version"] == first["version"]

    # Damaged, the version was made again by an ordinary run.
    assert {state for _, _, state in damaged["tasks"]} == {"success"}
    assert damaged["version"] == first["version"]
    assert content(shared) == content(alone)

    # Of what Airflow and the stages have written, the run's own configuration alone holds what the URL did.
    written = [
        file for folder in (state, tmp_path / "airflow" / "logs") for file in folder.rglob("*") if file.is_file()
    ]
    assert not [file for file in written if b"topsecret" in file.read_bytes()]
    assert rows_with("topsecret", tmp_path / "airflow" / "airflow.db") == {"dag_run"}


@pytest.mark.skipif("TEST_TWO_MACHINES" not in os.environ, reason="takes a minute; run `make test-two-machines`")
def test_a_run_with_its_work_in_a_store_gives_the_same_version(
    run_airflow: Callable[..., Any], corpus_url: str, s3_environment: dict[str, str], tmp_path: Path
) -> None:
    alone = transform(tmp_path / "corpus" / "corpus.zip", tmp_path / "alone", source_urls=[corpus_url])
    state, place = tmp_path / "state", f"s3://dag-{abs(hash(tmp_path)) % 10**8}/etl"
    (run,) = run_airflow(
        Path(dags.__file__).parent,
        RUN.replace("range(3)", "range(1)"),
        json.dumps({"urls": [corpus_url], "slice_pairs": SLICE_PAIRS}),
        **s3_environment,
        SNAP2CAPTION_STATE_DIR=str(state),
        SNAP2CAPTION_WORK_URI=place,
        SNAP2CAPTION_DATASETS_URI=place,
    )
    assert {state for _, _, state in run["tasks"]} == {"success"}
    assert run["version"] == f"{place}/{alone.name}"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_environment.items():
            patch.setenv(name, value)
        store = open_store(run["version"])
        assert {found.key: read(store, found.key) for found in store.list()} == content(alone)
    # Nothing is left on the disk but locks.
    assert not [file for file in state.rglob("*") if file.is_file() and not file.name.endswith(".lock")]


def content(version: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in version.iterdir()}


def rows_with(text: str, database: Path) -> set[str]:
    """Return the tables that have it in a row."""
    with closing(sqlite3.connect(database)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name for name in tables if text in repr(connection.execute(f'SELECT * FROM "{name}"').fetchall())}  # noqa: S608
