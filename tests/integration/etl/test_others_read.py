"""Other people's readers on our shards: the same ids, captions and JPEG bytes as ours gives."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from snap2caption.datasets.manifest import Manifest
from snap2caption.datasets.shards import read_shard

pytestmark = pytest.mark.integration

WEBDATASET = """
import hashlib, json, sys
import webdataset

for jpg, row in webdataset.WebDataset(sys.argv[1:], shardshuffle=False).to_tuple("jpg", "json"):
    print(json.dumps([json.loads(row), hashlib.sha256(jpg).hexdigest()]))
"""

DATASETS = """
import hashlib, json, sys
import datasets

dataset = datasets.load_dataset("webdataset", data_files={"train": sys.argv[1:]}, split="train", streaming=True)
for sample in dataset.cast_column("jpg", datasets.Image(decode=False)):
    print(json.dumps([sample["json"], hashlib.sha256(sample["jpg"]["bytes"]).hexdigest()]))
"""


@pytest.mark.parametrize("program", [WEBDATASET, DATASETS], ids=["webdataset", "datasets"])
def test_they_read_what_we_read(dataset: Path, tmp_path: Path, program: str) -> None:
    shards = [dataset / shard.name for split in Manifest.read(dataset).splits.values() for shard in split.shards]
    # In a process of their own, as others would; off the hub, which they'd ask otherwise.
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "HF_DATASETS_OFFLINE": "1"}
    command = [sys.executable, "-c", program, *map(str, shards)]
    answer = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    theirs = [json.loads(line) for line in answer.splitlines()]
    ours = [
        [
            {
                "id": sample.id,
                "city": sample.city,
                "caption": sample.post.caption,
                "hashtags": list(sample.post.hashtags),
                "group": sample.group,
            },
            hashlib.sha256(sample.photo()).hexdigest(),
        ]
        for shard in shards
        for sample in read_shard(shard)
    ]
    assert theirs == ours
    assert len(ours) > 30


MLCROISSANT = """
import json, sys
import mlcroissant

dataset = mlcroissant.Dataset(sys.argv[1])
context = dataset.metadata.ctx
print(json.dumps([str(context.conforms_to.value), context.issues.report().splitlines()[1:]]))
for split in sys.argv[2:]:
    for record in dataset.records(split):
        image = record.pop(f"{split}/image")
        plain = {name: [text.decode() for text in value] if isinstance(value, list) else value.decode()
                 for name, value in record.items()}
        print(json.dumps([plain, image.size, image.tobytes().hex()]))
"""


def test_mlcroissant_loads_every_record_by_the_description(dataset: Path, tmp_path: Path) -> None:
    # Elsewhere, as after a download: the description names the files next to it.
    copy = Path(shutil.copytree(dataset, tmp_path / dataset.name))
    splits = Manifest.read(copy).splits
    environment = {
        **os.environ,
        "CROISSANT_CACHE": str(tmp_path / "cache"),
        "PYTHONPATH": os.pathsep.join([*filter(None, sys.path), str(Path(sys.prefix) / "croissant")]),
    }
    command = [sys.executable, "-c", MLCROISSANT, str(copy / "croissant.json"), *splits]
    answer = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    (conforms_to, warnings), *theirs = [json.loads(line) for line in answer.splitlines()]
    assert conforms_to.endswith("/1.1")
    # Only what a corpus does not tell.
    assert [warning for warning in warnings if "datePublished" not in warning and "citeAs" not in warning] == []
    ours = []
    for split, summary in splits.items():
        samples = [sample for shard in summary.shards for sample in read_shard(copy / shard.name)]
        for number, sample in enumerate(samples):
            image = Image.open(io.BytesIO(sample.photo()))
            fields = {
                "photo": f"{number:09d}.jpg",
                "id": sample.id,
                "city": sample.city,
                "caption": sample.post.caption,
                "hashtags": list(sample.post.hashtags),
                "group": sample.group,
            }
            pixels = image.tobytes().hex()
            ours.append([{f"{split}/{name}": value for name, value in fields.items()}, [*image.size], pixels])
    assert theirs == ours
    assert len(ours) > 30
