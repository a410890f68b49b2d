import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from etl import export as stage
from etl.export import FOLDERS, export
from etl.load import load
from etl.transform.cleaning.caption import clean
from snap2caption.datasets.manifest import NAME, Manifest, Shard, SplitSummary
from snap2caption.datasets.shards import read_shard
from snap2caption.errors import UserError
from snap2caption.store import ObjectStore, open_store

pytestmark = pytest.mark.integration


def content(store: ObjectStore, prefix: str = "") -> dict[str, bytes]:
    found = {}
    for info in store.list(prefix):
        with store.get(info.key) as stream:
            found[info.key] = stream.read()
    return found


@pytest.mark.parametrize("kind", ["file", "s3", "swift"])
def test_every_sample_lies_where_a_mount_is_expected_to_have_it(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, dataset: Path, tmp_path: Path, kind: str
) -> None:
    base = tmp_path.as_uri()
    if kind != "file":
        for name, value in request.getfixturevalue(f"{kind}_environment").items():
            monkeypatch.setenv(name, value)
        base = f"{kind}://exports-of-{kind}"
    where = load(dataset, f"{base}/shards")
    export(where, f"{base}/plain")
    found = content(open_store(f"{base}/plain"))
    samples = 0
    for split, summary in Manifest.read(dataset).splits.items():
        for shard in summary.shards:
            for sample in read_shard(dataset / shard.name):
                place = f"{FOLDERS[split]}/cities_instagram/{sample.city}"
                assert found.pop(f"{place}/img_resized_1M/{sample.id}.jpg") == sample.photo()
                text = found.pop(f"{place}/captions_resized_1M/{sample.id}.txt").decode()
                assert clean(text) == (sample.post.caption, list(sample.post.hashtags))
                samples += 1
    assert samples > 30
    assert set(found.values()) == {b""}
    assert all(key.startswith(".exported/") for key in found)


def test_a_run_that_was_cut_off_goes_on_with_its_shard(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = [shard.name for summary in Manifest.read(dataset).splits.values() for shard in summary.shards]
    work, begun = stage._export_shard, []

    def cut_off(*arguments: object) -> None:
        begun.append(arguments[3].name)  # type: ignore[attr-defined]
        if len(begun) == 2:
            raise KeyboardInterrupt
        work(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(stage, "_export_shard", cut_off)
    with pytest.raises(KeyboardInterrupt):
        export(dataset.as_uri(), (tmp_path / "plain").as_uri())
    seen: list[tuple[int, int]] = []
    export(dataset.as_uri(), (tmp_path / "plain").as_uri(), on_progress=lambda *progress: seen.append(progress))
    assert begun == [shards[0], shards[1], *shards[1:]]
    assert seen[-1][0] == seen[-1][1]
    export(dataset.as_uri(), (tmp_path / "whole").as_uri())
    assert content(open_store((tmp_path / "plain").as_uri())) == content(open_store((tmp_path / "whole").as_uri()))


def test_two_versions_do_not_mix(dataset: Path, tmp_path: Path) -> None:
    export(dataset.as_uri(), (tmp_path / "plain").as_uri())
    other = tmp_path / "other"
    other.mkdir()
    for file in dataset.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    manifest = Manifest.read(dataset)
    (other / NAME).write_bytes(manifest.model_copy(update={"version": "0123456789ab"}).dump())
    with pytest.raises(UserError, match=f"holds the files of version {manifest.version}; give another URI"):
        export(other.as_uri(), (tmp_path / "plain").as_uri())


@pytest.mark.parametrize(
    ("city", "name"),
    [
        ("chicago", "../../outside"),
        ("chicago", ".hidden"),
        ("chicago", "a\nb"),
        ("..", "1"),
        ("", "1"),
        ("chicago", "a" * 300),
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(dataset: Path, tmp_path: Path, city: str, name: str) -> None:
    row = {"id": name, "city": city, "caption": "a walk", "hashtags": []}
    hostile = tmp_path / "dataset"
    hostile.mkdir()
    with tarfile.open(hostile / "train-000000.tar", "w") as archive:
        for member, data in (("0.jpg", b"photo"), ("0.json", json.dumps(row).encode())):
            info = tarfile.TarInfo(member)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    content = (hostile / "train-000000.tar").read_bytes()
    shard = Shard(name="train-000000.tar", sha256=hashlib.sha256(content).hexdigest(), samples=1, bytes=len(content))
    splits = {"train": SplitSummary(samples=1, cities={}, shards=(shard,))}
    (hostile / NAME).write_bytes(Manifest.read(dataset).model_copy(update={"splits": splits}).dump())
    # An empty one is refused by whoever reads the shard.
    with pytest.raises(UserError, match=r"is not a valid file name|city: String should have at least 1 character"):
        export(hostile.as_uri(), (tmp_path / "place" / "plain").as_uri())
    assert not list(tmp_path.rglob("*.jpg"))


def test_a_damaged_shard_is_refused(dataset: Path, tmp_path: Path) -> None:
    copy = tmp_path / "dataset"
    copy.mkdir()
    for file in dataset.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    (copy / Manifest.read(dataset).splits["test"].shards[0].name).write_bytes(b"other")
    with pytest.raises(UserError, match="damaged"):
        export(copy.as_uri(), (tmp_path / "plain").as_uri())
