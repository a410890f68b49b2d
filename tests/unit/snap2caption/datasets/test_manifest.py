import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import write_dataset

from snap2caption.datasets.manifest import NAME, Manifest
from snap2caption.errors import UserError

pytestmark = pytest.mark.unit

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def content(tmp_path: Path) -> dict[str, Any]:
    """A manifest as JSON."""
    write_dataset(tmp_path / "v1", {"train": 6, "validation": 3, "test": 3})
    return json.loads((tmp_path / "v1" / NAME).read_text())


def shard(manifest: dict[str, Any]) -> dict[str, Any]:
    return manifest["splits"]["train"]["shards"][0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda manifest: shard(manifest).update(samples=-1), "splits.train.shards.0.samples"),
        (lambda manifest: shard(manifest).update(bytes=-1), "splits.train.shards.0.bytes"),
        (lambda manifest: shard(manifest)["cities"].update(chicago=-1), "splits.train.shards.0.cities.chicago"),
        (lambda manifest: manifest["splits"]["test"].update(samples=-1), "splits.test.samples"),
        (lambda manifest: manifest["splits"]["test"]["cities"].update(chicago=-1), "splits.test.cities.chicago"),
        (lambda manifest: manifest["hashtags"].update(bytes=-1), "hashtags.bytes"),
        (lambda manifest: manifest["dropped"].update(no_caption=-1), "dropped.no_caption"),
        (lambda manifest: manifest.update(metadata={"photos": -1, "located": 0}), "metadata.photos"),
    ],
)
def test_no_count_is_negative(content: dict[str, Any], change: Change, said: str) -> None:
    change(content)
    with pytest.raises(UserError, match=rf"\({said}: Input should be greater than or equal to 0\)"):
        Manifest.parse(json.dumps(content).encode(), "here")


@pytest.mark.parametrize("again", [str, str.upper])
def test_no_file_is_listed_twice(content: dict[str, Any], again: Callable[[str], str]) -> None:
    content["hashtags"]["name"] = again(shard(content)["name"])
    with pytest.raises(UserError, match=rf"\(JSON: .*{shard(content)['name']} is listed twice\)"):
        Manifest.parse(json.dumps(content).encode(), "here")
