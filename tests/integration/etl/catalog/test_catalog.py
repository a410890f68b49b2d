"""The catalog's commands on real stores, and beside a real MLflow."""

import json
import time
import uuid
from pathlib import Path

import pytest
import typer
from mlflow import MlflowClient
from patience import until
from typer.testing import CliRunner

from demo.corpus.archive import write_corpus
from etl.catalog.diff import diff
from etl.cli import register
from etl.load import load
from etl.transform import transform
from snap2caption.datasets.version import DatasetVersion
from snap2caption.errors import UserError
from snap2caption.registry.client import Registry
from snap2caption.store import open_store

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two versions, the second of which kept the splits of the first."""
    folder = tmp_path_factory.mktemp("versions")
    first = transform(write_corpus(folder / "small.zip", 60, 1), folder / "out")
    return first, transform(write_corpus(folder / "large.zip", 120, 1, traps=True), folder / "out", previous=first)


def run(*arguments: str) -> dict:
    app = typer.Typer()
    register(app)
    result = CliRunner().invoke(app, ["datasets", *arguments, "--json"])
    if result.exception:
        raise result.exception
    return json.loads(result.stdout)


def test_records_and_shards_tell_the_same(versions: tuple[Path, Path]) -> None:
    by_records = diff(*(DatasetVersion.open(str(one)) for one in versions))
    older = [DatasetVersion.open(str(one)) for one in versions]
    without = [DatasetVersion(one.uri, one.manifest.model_copy(update={"records": None})) for one in older]
    assert diff(*without) == by_records
    assert by_records.changes["added"].samples > 30
    assert by_records.changes["removed"].samples == by_records.changes["moved"].samples == 0
    assert by_records.dropped["truncated_image"].after > 0


@pytest.mark.parametrize("kind", ["file", "s3", "swift"])
def test_list_diff_and_prune_on_any_store(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    versions: tuple[Path, Path],
    tmp_path: Path,
    tracking_uri: str,
    kind: str,
) -> None:
    uri = (tmp_path / "store").as_uri()
    if kind != "file":
        for name, value in request.getfixturevalue(f"{kind}_environment").items():
            monkeypatch.setenv(name, value)
        uri = f"{kind}://catalog-of-{kind}/some/prefix"
    model = f"catalog-{uuid.uuid4().hex[:8]}"
    monkeypatch.setenv("SNAP2CAPTION_MLFLOW_TRACKING_URI", tracking_uri)
    monkeypatch.setenv("SNAP2CAPTION_REGISTERED_MODEL", model)
    load(versions[0], uri)
    # S3 and Swift tell the time of an object in whole seconds.
    next_second = int(time.time()) + 1
    until(lambda: time.time() >= next_second)
    load(versions[1], uri)
    first, second = (version.name for version in versions)
    assert [one["version"] for one in run("list", uri)["versions"]] == [second, first]
    page = tmp_path / "diff.html"
    assert run("diff", first[:6], second, "--at", uri, "--html", str(page))["changes"]["added"]["samples"] > 30
    assert page.read_text().count("data:image/jpeg") == 12
    # A model learned from the first one, so it stays; once the model is gone, it may go.
    client = MlflowClient(tracking_uri)
    run_id = client.create_run("0").info.run_id
    client.create_registered_model(model)
    client.create_model_version(model, f"runs:/{run_id}/model", run_id, tags={"dataset_version": first})
    assert run("show", first, "--at", uri, "--models")["models"] == [f"{model} version 1"]
    assert run("prune", uri, "--keep", "1", "--yes")["removed"] == []
    client.delete_registered_model(model)
    assert [one["version"] for one in run("prune", uri, "--keep", "1", "--dry-run")["removed"]] == [first]
    assert {info.key.partition("/")[0] for info in open_store(uri).list()} == {first, second}
    with pytest.raises(UserError, match="add --yes"):
        run("prune", uri, "--keep", "1")
    assert [one["version"] for one in run("prune", uri, "--keep", "1", "--yes")["removed"]] == [first]
    assert {info.key.partition("/")[0] for info in open_store(uri).list()} == {second}
    if kind == "swift":
        assert [*open_store("swift://catalog-of-swift_segments").list(f"some/prefix/{first}")] == []


def test_a_running_training_protects_what_it_reads(tracking_uri: str) -> None:
    client = MlflowClient(tracking_uri)
    version = uuid.uuid4().hex[:16]
    inherited = [uuid.uuid4().hex[:16] for _ in range(2)]
    tags = {"dataset_version": version, "inherited_versions": ",".join(inherited)}
    run_id = client.create_run("0", tags=tags).info.run_id
    registry = Registry(tracking_uri, "no-such-model")
    assert registry.lineage()[version] == (f"run {run_id}",)
    # What the adapter that it began with had learned from is part of it.
    assert {registry.lineage()[one] for one in inherited} == {(f"run {run_id}",)}
    # It ended just now, so the gate may still need the data.
    client.set_terminated(run_id)
    assert registry.lineage()[version] == (f"run {run_id}",)
    client.delete_run(run_id)
    assert version not in registry.lineage()


def test_a_model_that_tells_nothing_keeps_everything(tracking_uri: str) -> None:
    client = MlflowClient(tracking_uri)
    name = client.create_registered_model(f"untold-{uuid.uuid4().hex[:8]}").name
    run_id = client.create_run("0").info.run_id
    client.create_model_version(name, f"runs:/{run_id}/model", run_id)
    with pytest.raises(UserError, match="does not tell which dataset"):
        Registry(tracking_uri, name).lineage()
    # It is none of ours if another model is.
    Registry(tracking_uri, "another").lineage()
    client.delete_registered_model(name)
