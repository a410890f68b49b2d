import io
import zipfile
from pathlib import Path

import pytest
from photos import real_photos
from PIL import Image

from etl.transform import transform
from snap2caption.datasets.manifest import Manifest
from snap2caption.datasets.shards import read_shard

pytestmark = pytest.mark.integration


def test_real_photographs_pass_the_transform(tmp_path: Path) -> None:
    photos = real_photos()
    assert len(photos) >= 20
    with zipfile.ZipFile(tmp_path / "corpus.zip", "w") as archive:
        for number, path in enumerate(photos):
            stream = io.BytesIO()
            Image.open(path).convert("RGB").save(stream, "JPEG")
            archive.writestr(f"img_resized_1M/cities_instagram/Chicago/{number:04d}.jpg", stream.getvalue())
            archive.writestr(
                f"captions_resized_1M/cities_instagram/Chicago/{number:04d}.txt", f"This is {path.stem} #{path.stem}"
            )
    dataset = transform(tmp_path / "corpus.zip", tmp_path / "out")
    manifest = Manifest.read(dataset)
    assert manifest.dropped == {}
    kept = {
        sample.id
        for split in manifest.splits.values()
        for shard in split.shards
        for sample in read_shard(dataset / shard.name)
    }
    assert len(kept) == len(photos)
