"""Stages of the transform, one by one."""

import shutil
import zipfile
from pathlib import Path

import pytest
from contents import files_in

from demo.corpus.archive import write_corpus
from etl.transform import check_slice, merge, pipeline, plan, transform
from etl.transform.stages.check_slice import pairs_per_task
from etl.transform.writing.versions import scan_folder
from snap2caption.datasets.manifest import Manifest
from snap2caption.datasets.shards import read_shard
from snap2caption.errors import UserError

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # No folder of anybody's is called like that, but a file name pattern it must not be.
    return write_corpus(tmp_path_factory.mktemp("corpus") / "a [1]*" / "corpus.zip", 60, 5, traps=True)


@pytest.fixture(scope="module")
def version(corpus: Path) -> Path:
    return transform(corpus, corpus.parent / "alone", workers=1)


@pytest.mark.parametrize("slice_pairs", [1000, 25])
def test_slices_of_any_size_in_any_order_give_the_same_bytes(
    corpus: Path, version: Path, tmp_path: Path, slice_pairs: int
) -> None:
    planned = plan(corpus, tmp_path, slice_pairs=slice_pairs)
    assert planned.slices == -(-planned.pairs // slice_pairs)
    for number in reversed(range(planned.slices)):
        check_slice(planned.work, number, workers=1)
    assert files_in(merge(planned.work, workers=1)) == files_in(version)
    assert not planned.work.exists()


def test_what_is_done_is_not_done_again(corpus: Path, tmp_path: Path) -> None:
    planned = plan(corpus, tmp_path, slice_pairs=40)
    check_slice(planned.work, 0, workers=1)
    before = {file: file.stat().st_mtime_ns for file in planned.work.rglob("*.parquet")}
    assert plan(corpus, tmp_path, slice_pairs=40) == planned
    seen: list[tuple[int, int]] = []
    check_slice(planned.work, 0, workers=1, on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(40, 40)]
    assert {file: file.stat().st_mtime_ns for file in planned.work.rglob("*.parquet")} == before


def test_every_stage_again_after_the_version_is_harmless(corpus: Path, version: Path) -> None:
    work = plan(corpus, version.parent).work
    before = files_in(version)
    assert plan(corpus, version.parent) == (work, 0, 0, version)
    check_slice(work, 0)
    check_slice(work, 99)
    assert merge(work) == version
    assert files_in(version) == before
    assert [folder.name for folder in version.parent.iterdir()].count(version.name) == 1


def test_a_damaged_version_is_made_again(corpus: Path, version: Path) -> None:
    before = files_in(version)
    shard = next(version.glob("train-*.tar"))
    shard.write_bytes(shard.read_bytes()[:-512])
    planned = plan(corpus, version.parent)
    assert (planned.slices, planned.version) == (1, None)
    check_slice(planned.work, 0, workers=1)
    for _ in range(2):  # the second time as a retry after the answer was lost
        assert merge(planned.work, workers=1) == version
        check_slice(planned.work, 0)
    assert files_in(version) == before
    assert transform(corpus, version.parent) == version


def test_a_plan_takes_over_what_a_killed_one_left(corpus: Path, version: Path, tmp_path: Path) -> None:
    with scan_folder(tmp_path, corpus) as folder:
        pass
    folder.mkdir()
    (folder / "members.parquet").write_bytes(b"half")
    planned = plan(corpus, tmp_path)
    assert not folder.exists()
    check_slice(planned.work, 0, workers=1)
    assert merge(planned.work, workers=1).name == version.name


def test_a_missing_slice_is_named(corpus: Path, tmp_path: Path) -> None:
    planned = plan(corpus, tmp_path, slice_pairs=20)
    check_slice(planned.work, 0, workers=1)
    with pytest.raises(UserError, match=f"{planned.slices - 1} of {planned.slices} slices are missing.* 1`"):
        merge(planned.work)


def test_a_slice_that_is_not_planned_is_one_sentence(corpus: Path, tmp_path: Path) -> None:
    planned = plan(corpus, tmp_path)
    with pytest.raises(UserError, match=r"no slice 1 .* last one is 0"):
        check_slice(planned.work, 1)
    with pytest.raises(UserError, match=r"nowhere is not a work folder"):
        check_slice(tmp_path / "nowhere", 0)
    shutil.rmtree(planned.work)
    with pytest.raises(UserError, match="There is no plan in"):
        merge(planned.work)


def test_a_corpus_that_moved_is_found_after_another_plan(corpus: Path, version: Path, tmp_path: Path) -> None:
    here, there = tmp_path / "here.zip", tmp_path / "there.zip"
    shutil.copy(corpus, here)
    planned = plan(here, tmp_path / "out")
    here.rename(there)
    with pytest.raises(UserError, match=r"not at .*here\.zip"):
        check_slice(planned.work, 0)
    assert plan(there, tmp_path / "out") == planned
    check_slice(planned.work, 0, workers=1)
    assert merge(planned.work).name == version.name


def test_too_many_slices_are_refused(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "MAX_SLICES", 5)
    with pytest.raises(UserError, match="give at least"):
        plan(corpus, tmp_path, slice_pairs=2)
    assert not list(tmp_path.glob(".work-*"))


def test_a_copy_of_a_test_picture_does_not_take_its_place(corpus: Path, version: Path, tmp_path: Path) -> None:
    """Of the same image the first id stays, but what an earlier version had comes before what is new."""
    held_out = Manifest.read(version).splits["test"].shards[0].name
    sample = next(iter(read_shard(version / held_out)))
    grown = tmp_path / "corpus.zip"
    shutil.copy(corpus, grown)
    with zipfile.ZipFile(grown, "a") as archive:
        for kind, name, data in (("captions", "000.txt", "Other words"), ("img", "000.jpg", sample.photo())):
            archive.writestr(f"{kind}_resized_1M/cities_instagram/{sample.city}/{name}", data)
    later = transform(grown, tmp_path / "out", previous=version, workers=1)
    splits = {
        found.id: split
        for split, summary in Manifest.read(later).splits.items()
        for shard in summary.shards
        for found in read_shard(later / shard.name)
    }
    assert splits[sample.id] == "test"
    assert "000" not in splits


def test_assignments_that_are_not_the_manifests_are_refused(corpus: Path, version: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(version, tmp_path / "copy")
    (copy / "assignments.parquet").write_bytes(b"other")
    with pytest.raises(UserError, match="not what the earlier version's manifest says"):
        plan(corpus, tmp_path / "out", previous=copy)


@pytest.mark.parametrize(
    ("pairs", "processes", "expected"), [(25_000, 2, 512), (25_000, 16, 195), (25_000, 96, 64), (10, 2, 64)]
)
def test_tasks_suffice_for_all_processes(pairs: int, processes: int, expected: int) -> None:
    assert pairs_per_task(pairs, processes) == expected
