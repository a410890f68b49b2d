"""Differences between versions that were made before there were record tables, so the shards are read."""

import json
from pathlib import Path

import pytest
import typer
from tiny import write_dataset
from typer.testing import CliRunner

from etl.catalog.diff import EXAMPLES, diff
from etl.cli import register
from etl.transform import working_tables
from snap2caption.datasets.manifest import NAME
from snap2caption.datasets.version import DatasetVersion
from snap2caption.errors import UserError

pytestmark = pytest.mark.unit


def run(*arguments: str):
    app = typer.Typer()
    register(app)
    return CliRunner().invoke(app, ["datasets", *arguments], env={"COLUMNS": "300"})


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two versions; the later one has 20 more samples to train on, and lost the last one of test."""
    folder = tmp_path_factory.mktemp("versions")
    write_dataset(folder / "d00000000000", {"train": [6], "validation": 3, "test": 4})
    write_dataset(folder / "later", {"train": [26], "validation": 3, "test": 3})
    document = json.loads((folder / "later" / NAME).read_bytes())
    document |= {"version": "d00000000001", "settings": {"seed": 1}, "dropped": {"duplicate": 2}}
    (folder / "later" / NAME).write_text(json.dumps(document))
    (folder / "later").rename(folder / "d00000000001")
    return folder / "d00000000000", folder / "d00000000001"


def test_memory_is_given_for_all_samples(both: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    # With 1 MB, and nothing for the samples, it fails.
    monkeypatch.setattr(working_tables, "MEMORY", 1)
    monkeypatch.setattr(working_tables, "_PER_ROW", 5_000_000)
    assert diff(*(DatasetVersion.open(str(one)) for one in both)).changes["added"].samples == 20


def test_it_counts_by_reason_city_hashtag_and_split(both: tuple[Path, Path]) -> None:
    found = diff(*(DatasetVersion.open(str(one)) for one in both))
    assert found.settings == {"seed": (None, 1)}
    assert {split: (change.before, change.after) for split, change in found.splits.items()} == {
        "train": (6, 26),
        "validation": (3, 3),
        "test": (4, 3),
    }
    assert {reason: (change.before, change.after) for reason, change in found.dropped.items()} == {"duplicate": (0, 2)}
    assert found.changes["added"].samples == 20
    assert found.changes["added"].splits == {"train": 20}
    assert sum(found.changes["added"].cities.values()) == 20
    assert found.changes["removed"].splits == {"test": 1}
    for kind in ("moved", "recaptioned", "regrouped", "rephotographed"):
        assert found.changes[kind].samples == 0
    assert len(found.examples["added"]) == EXAMPLES
    (lost,) = found.examples["removed"]
    assert lost.id == "test-000000-3"
    assert lost.after is None
    assert all(tag.before != tag.after for tag in found.hashtags)
    changes = [abs(tag.after - tag.before) for tag in found.hashtags]
    assert changes == sorted(changes, reverse=True)


def test_backwards_it_is_the_mirror_image(both: tuple[Path, Path]) -> None:
    forth = diff(*(DatasetVersion.open(str(one)) for one in both))
    back = diff(*(DatasetVersion.open(str(one)) for one in reversed(both)))
    assert back.changes["removed"] == forth.changes["added"]
    assert back.changes["added"] == forth.changes["removed"]
    assert (back.new_hashtags, back.lost_hashtags) == (forth.lost_hashtags, forth.new_hashtags)


def test_as_text_json_and_a_page_with_pictures(both: tuple[Path, Path], tmp_path: Path) -> None:
    page = tmp_path / "new" / "diff.html"
    result = run("diff", "d00000000000", str(both[1]), "--at", str(both[0].parent), "--html", str(page))
    assert result.exit_code == 0, result.output
    for text in ("26 (+20)", "duplicate", "2 (+2)", "added"):
        assert text in result.stdout
    html = page.read_text()
    assert html.count("data:image/jpeg;base64,") == EXAMPLES + 1
    assert "http:" not in html
    document = json.loads(run("diff", *map(str, both), "--json").stdout)
    assert document["changes"]["added"]["samples"] == 20
    assert document["before"]["version"] == "d00000000000"


def test_a_version_differs_from_itself_in_nothing(both: tuple[Path, Path]) -> None:
    result = run("diff", str(both[0]), str(both[0]))
    assert "Both have the same samples." in result.stdout


def test_a_name_that_means_none_or_two_is_one_sentence(both: tuple[Path, Path]) -> None:
    store = str(both[0].parent)
    for name, sentence in (("d0000", "Several versions begin with d0000"), ("abcd12", "has no version abcd12")):
        result = run("show", name, "--at", store)
        assert result.exit_code == 1
        assert isinstance(result.exception, UserError)
        assert sentence in str(result.exception)


def test_a_list_tells_size_samples_and_state(both: tuple[Path, Path], tmp_path: Path) -> None:
    store = str(both[0].parent)
    document = json.loads(run("list", store, "--json").stdout)
    assert {one["version"]: one["samples"]["train"] for one in document["versions"]} == {
        "d00000000000": 6,
        "d00000000001": 26,
    }
    assert {one["state"] for one in document["versions"]} == {"complete"}
    assert "d00000000001" in run("list", store).stdout
    assert "There are no versions" in run("list", str(tmp_path)).stdout
