import hashlib
from pathlib import Path

import pytest
from tiny import write_dataset

from etl.inspect import inspect
from etl.load import load
from etl.verify import verify
from snap2caption.datasets.version import DatasetVersion
from snap2caption.store import open_store

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("kind", ["s3", "swift"])
def test_a_version_is_inspected_and_verified_where_it_lies(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    for name, value in request.getfixturevalue(f"{kind}_environment").items():
        monkeypatch.setenv(name, value)
    write_dataset(tmp_path / "v1", {"train": [30, 9], "validation": 6, "test": 3})
    dataset = DatasetVersion.open(load(tmp_path / "v1", f"{kind}://inspected-in-{kind}/some/prefix"))
    assert [sample.id for sample in inspect(dataset, 2).samples] == ["train-000000-0", "train-000000-1"]
    assert verify(dataset) == []
    store = open_store(dataset.uri)
    store.delete("train-000001.tar")
    other = (tmp_path / "v1" / "test-000000.tar").read_bytes()
    store.put("validation-000000.tar", other, sha256=hashlib.sha256(other).hexdigest())
    found = {(fault.file, fault.fault.split(" such as ")[0].split(" (")[0]) for fault in verify(dataset)}
    assert ("train-000001.tar", f"{dataset.uri} has no train-000001.tar; check the URI.") in found
    assert ("validation-000000.tar", "holds 3 samples; the manifest says 6") in found
    assert ("test-000000.tar", "holds 3 ids that validation-000000.tar holds too,") in found
