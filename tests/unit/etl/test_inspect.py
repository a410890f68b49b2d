import io
import json
import shutil
import tarfile
from pathlib import Path

import pytest
import typer
from tiny import write_dataset
from typer.testing import CliRunner

from etl.cli import register
from etl.load import load
from etl.verify import IntegrityIssue, verify
from snap2caption.datasets.manifest import NAME, Manifest
from snap2caption.datasets.version import DatasetVersion
from snap2caption.errors import UserError

pytestmark = pytest.mark.unit

TRAIN = "train-000000.tar"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_dataset(tmp_path / "v1", {"train": [12, 9], "validation": 6, "test": 3})
    return tmp_path / "v1"


def run(*arguments: str):
    app = typer.Typer()
    register(app)
    # Wide enough for any temporary path.
    return CliRunner().invoke(app, ["inspect", *arguments], env={"COLUMNS": "300"})


def faults_of(folder: Path) -> list[tuple[str, str]]:
    return [(fault.file, fault.fault) for fault in verify(DatasetVersion.open(str(folder)))]


def edit(folder: Path, change) -> None:
    """Change the manifest, which is a document here."""
    document = json.loads((folder / NAME).read_bytes())
    change(document)
    (folder / NAME).write_text(json.dumps(document))


def rewrite(shard: Path, change) -> None:
    """Write a shard anew with other bytes in its members."""
    with tarfile.open(shard) as archive:
        members = [(member.name, archive.extractfile(member).read()) for member in archive]
    with tarfile.open(shard, "w") as archive:
        for name, data in members:
            member, changed = tarfile.TarInfo(name), change(name, data)
            member.size = len(changed)
            archive.addfile(member, io.BytesIO(changed))


def test_it_shows_what_is_in_a_version(folder: Path) -> None:
    result = run(str(folder), "--samples", "2")
    assert result.exit_code == 0
    for text in (
        "d00000000000",
        folder.as_uri(),
        "http://example.com/c.zip",
        "validation",
        "chicago",
        "#citylife",
        "train-000000-1",
    ):
        assert text in result.stdout
    assert "train-000000-2" not in result.stdout


def test_as_json_it_has_splits_lineage_and_samples(folder: Path) -> None:
    edit(folder, lambda document: document.update(settings={"previous": "d0"}, dropped={"duplicate": 3}))
    result = run(folder.as_uri(), "--samples", "13", "--json")
    document = json.loads(result.stdout)
    train = document["splits"]["train"]
    size = sum((folder / f"train-00000{number}.tar").stat().st_size for number in range(2))
    assert train == {
        "samples": 21,
        "cities": {"chicago": 7, "newyork": 7, "sanfrancisco": 7},
        "shards": 2,
        "bytes": size,
    }
    assert (document["previous"], document["dropped"], document["faults"]) == ("d0", {"duplicate": 3}, None)
    assert document["source"]["urls"] == ["http://example.com/c.zip"]
    assert [sample["id"] for sample in document["samples"]][-2:] == ["train-000000-11", "train-000001-0"]


def test_a_terminal_is_not_obeyed(folder: Path) -> None:
    def write(name: str, data: bytes) -> bytes:
        return (
            data
            if name.endswith("jpg")
            else json.dumps(json.loads(data) | {"caption": "\x1b[2J [red]x 👨‍👩‍👧"}).encode()
        )

    rewrite(folder / TRAIN, write)
    result = run(str(folder), "--samples", "1")
    assert "\N{REPLACEMENT CHARACTER}[2J [red]x 👨‍👩‍👧" in result.stdout
    assert "\x1b" not in result.stdout


def test_a_whole_version_has_no_fault(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    assert verify(DatasetVersion.open(str(folder)), on_progress=lambda done, total: seen.append((done, total))) == []
    assert seen == [(done, 5) for done in range(1, 6)]
    result = run(str(folder), "--verify")
    assert result.exit_code == 0
    assert "No fault was found." in result.stdout


def test_a_flipped_byte_is_found_wherever_it_is(folder: Path) -> None:
    whole = (folder / TRAIN).read_bytes()
    # In a photo, in a tar header, in the padding at the end.
    for at in (600, 100, len(whole) - 1):
        spoiled = bytearray(whole)
        spoiled[at] ^= 1
        (folder / TRAIN).write_bytes(spoiled)
        found = faults_of(folder)
        assert (TRAIN, "has the SHA-256") in [(file, fault[:15]) for file, fault in found]


def test_every_fault_is_reported_in_one_go(folder: Path) -> None:
    (folder / "validation-000000.tar").unlink()
    shutil.copy(folder / TRAIN, folder / "train-000001.tar")
    (folder / "hashtags.parquet").write_bytes(b"nine")
    (folder / "test-000000.tar").write_bytes((folder / "test-000000.tar").read_bytes()[:2000])
    result = run(str(folder), "--verify", "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    found = {(fault["file"], fault["fault"]) for fault in document["faults"]}
    assert any(file == "hashtags.parquet" and fault.startswith("has the SHA-256") for file, fault in found)
    assert ("train-000001.tar", "holds 12 ids that train-000000.tar holds too, such as train-000000-0") in found
    assert ("train-000001.tar", "holds 12 samples; the manifest says 9") in found
    assert any(file == "validation-000000.tar" and "has no validation-000000.tar" in fault for file, fault in found)
    assert any(file == "test-000000.tar" and fault.startswith("has 2000 bytes; ") for file, fault in found)
    assert any(file == "test-000000.tar" and "not readable" in fault for file, fault in found)
    assert any(file == NAME and fault.startswith("says that validation has chicago 2") for file, fault in found)
    assert len(document["faults"]) == len(found)


def test_faults_are_shown_in_a_table(folder: Path) -> None:
    (folder / TRAIN).unlink()
    result = run(str(folder), "--verify")
    assert result.exit_code == 1
    assert "Faults" in result.stdout
    assert "2 faults found." in result.stdout


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (
            lambda m: m["splits"]["train"].update(samples=20),
            "says that train has 20 samples, and that its shards have 21",
        ),
        (
            lambda m: m["splits"]["train"]["cities"].update(chicago=8, newyork=6),
            "says that train has chicago 8, newyork 6, sanfrancisco 7; its shards hold chicago 7, newyork 7, sanfrancisco 7",
        ),
        (
            lambda m: m["splits"]["test"]["cities"].pop("chicago"),
            "says that test has 3 samples, and that its cities have 2",
        ),
    ],
)
def test_a_manifest_that_lies_is_found(folder: Path, change, fault: str) -> None:
    edit(folder, change)
    assert (NAME, fault) in faults_of(folder)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda shard: shard.update(samples=11), "holds 12 samples; the manifest says 11"),
        (
            lambda shard: shard.update(cities={"chicago": 12}),
            "holds chicago 4, newyork 4, sanfrancisco 4; the manifest says chicago 12",
        ),
        (lambda shard: shard.update(bytes=1), "bytes; the manifest says 1"),
    ],
)
def test_a_manifest_that_lies_about_a_shard_is_found(folder: Path, change, fault: str) -> None:
    edit(folder, lambda manifest: change(manifest["splits"]["train"]["shards"][0]))
    assert any(file == TRAIN and found.endswith(fault) for file, found in faults_of(folder))


def test_what_was_wrong_before_its_digest_was_taken_is_found(folder: Path) -> None:
    def spoil(name: str, data: bytes) -> bytes:
        if name == "000001.jpg":
            return data[: len(data) // 2]
        return data.replace(b"train-000000-3", b"train-000000-2") if name == "000003.json" else data

    rewrite(folder / TRAIN, spoil)
    found = faults_of(folder)
    assert (TRAIN, "the photo of train-000000-1 does not decode (truncated)") in found
    assert (TRAIN, "holds 1 ids more than once, such as train-000000-2") in found


def test_an_id_in_two_splits_is_found(folder: Path) -> None:
    rewrite(folder / "test-000000.tar", lambda _, data: data.replace(b"test-000000-", b"train-000000-"))
    found = verify(DatasetVersion.open(str(folder)))
    assert (
        IntegrityIssue("test-000000.tar", "holds 3 ids that train-000000.tar holds too, such as train-000000-0")
        in found
    )


def test_what_the_manifest_does_not_list_is_found(folder: Path) -> None:
    (folder / "train-000009.tar").write_bytes(b"of another run")
    (folder / "d00000000001").mkdir()
    (folder / "d00000000001" / NAME).write_bytes(b"{}")
    assert faults_of(folder) == [
        ("d00000000001/manifest.json", "is not in the manifest; remove it, or move it elsewhere"),
        ("train-000009.tar", "is not in the manifest; remove it, or move it elsewhere"),
    ]
    assert run(str(folder), "--verify").exit_code == 1


def test_another_version_than_was_asked_for_is_not_shown(folder: Path, tmp_path: Path) -> None:
    asked = folder.rename(tmp_path / "0123456789abcdef")
    for where in (str(asked), asked.as_uri(), f"{asked.as_uri()}/"):
        with pytest.raises(
            UserError, match="holds the manifest of version d00000000000, not of 0123456789abcdef; load"
        ):
            DatasetVersion.open(where)
    with pytest.raises(UserError, match="holds the manifest of version d00000000000"):
        load(asked, (tmp_path / "store").as_uri())
    assert not (tmp_path / "store").exists()
    assert DatasetVersion.open(str(asked.rename(tmp_path / "d00000000000"))).manifest.version == "d00000000000"


def test_no_dataset_is_one_sentence(tmp_path: Path) -> None:
    result = run(str(tmp_path))
    assert result.exit_code == 1
    assert "has no manifest.json" in str(result.exception)


def test_the_manifest_is_left_as_it_was(folder: Path) -> None:
    before = Manifest.read(folder)
    run(str(folder), "--verify")
    assert Manifest.read(folder) == before
