from pathlib import Path

import pytest
from contents import files_in

from etl.load import load
from snap2caption.datasets.manifest import NAME, Manifest
from snap2caption.errors import UserError
from snap2caption.store import open_store

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("kind", ["file", "s3", "swift"])
def test_everything_arrives_with_the_manifest_last(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, dataset: Path, tmp_path: Path, kind: str
) -> None:
    uri = (tmp_path / "store").as_uri()
    if kind != "file":
        for name, value in request.getfixturevalue(f"{kind}_environment").items():
            monkeypatch.setenv(name, value)
        uri = f"{kind}://datasets-of-{kind}/some/prefix"
    seen: list[tuple[int, int]] = []
    where = load(dataset, uri, on_progress=lambda done, total: seen.append((done, total)))
    assert where == f"{uri}/{dataset.name}"
    files = len(list(dataset.iterdir()))
    assert seen == [(done, files) for done in range(1, files + 1)]
    store = open_store(where)
    found = {}
    for info in store.list():
        with store.get(info.key) as stream:
            found[info.key] = stream.read()
    assert found == files_in(dataset)


def test_a_version_in_a_store_is_loaded_from_there(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNAP2CAPTION_STATE_DIR", str(tmp_path / "state"))
    made = load(dataset, (tmp_path / "made").as_uri())
    before = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "made" / dataset.name).iterdir()}
    assert load(made, (tmp_path / "made").as_uri()) == made  # it is where it shall be
    assert load(made, (tmp_path / "store").as_uri()) == f"{(tmp_path / 'store').as_uri()}/{dataset.name}"
    assert files_in(tmp_path / "store" / dataset.name) == files_in(dataset)
    assert {file.name: file.stat().st_mtime_ns for file in (tmp_path / "made" / dataset.name).iterdir()} == before
    assert not list((tmp_path / "state" / "scratch").iterdir())


def test_a_load_that_was_cut_off_goes_on(dataset: Path, tmp_path: Path) -> None:
    version = tmp_path / "store" / dataset.name
    version.mkdir(parents=True)
    shards = [shard.name for split in Manifest.read(dataset).splits.values() for shard in split.shards]
    (version / shards[0]).write_bytes(b"half of it")
    (version / shards[1]).write_bytes((dataset / shards[1]).read_bytes())
    before = (version / shards[1]).stat()
    uri = load(dataset, (tmp_path / "store").as_uri())
    assert files_in(version) == files_in(dataset)
    assert (version / shards[1]).stat().st_mtime_ns == before.st_mtime_ns
    times = {file.name: file.stat().st_mtime_ns for file in version.iterdir()}
    assert load(dataset, (tmp_path / "store").as_uri()) == uri
    assert {file.name: file.stat().st_mtime_ns for file in version.iterdir()} == times


@pytest.mark.parametrize("spoil", [lambda file: file.write_bytes(b"other"), Path.unlink])
def test_a_damaged_version_is_refused_before_its_manifest_goes(dataset: Path, tmp_path: Path, spoil) -> None:
    copy = tmp_path / dataset.name
    copy.mkdir()
    for name, data in files_in(dataset).items():
        (copy / name).write_bytes(data)
    spoil(copy / Manifest.read(dataset).splits["train"].shards[0].name)
    with pytest.raises(UserError, match="run `transform` on the corpus again"):
        load(copy, (tmp_path / "store").as_uri())
    assert not (tmp_path / "store" / dataset.name / NAME).exists()


def test_no_dataset_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give the folder that `transform` wrote"):
        load(tmp_path / "nothing", tmp_path.as_uri())
