"""Other people's readers on our shards: the same ids, captions and JPEG bytes as ours gives."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

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
