"""Posts of shards as img2dataset writes them; `make test-urls` reads its own."""

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset

from etl.readers.base import SkippedPost, SourcePost
from etl.urls.shards import read_shard
from snap2caption.errors import UserError

pytestmark = pytest.mark.unit

PHOTO = b"\xff\xd8\xff"
ERRORS = ("Use of image disallowed by X-Robots-Tag directive", "not_found", "private_address", "something new")


def write_shard(folder: Path, photos: list[str]) -> None:
    """Write a shard whose photos came in this order; the other rows failed."""
    rows = []
    with webdataset.TarWriter(str(folder / "00000.tar")) as writer:
        for key in photos:
            writer.write({"__key__": key, "jpg": PHOTO + key.encode(), "txt": f"Of {key}.", "json": {}})
            rows.append({"key": key, "status": "success", "error_message": None})
    for number, error in enumerate(ERRORS):
        rows.append({"key": f"00001{number}", "status": "failed_to_download", "error_message": error})
    rows = [{"url": f"u{row['key']}", "caption": f"Of {row['key']}.", "post_group": "oslo"} | row for row in rows]
    pq.write_table(pa.Table.from_pylist(rows), folder / "00000.parquet")


def test_posts_come_in_the_order_of_the_table(tmp_path: Path) -> None:
    write_shard(tmp_path, ["000002", "000000", "000001"])
    posts = list(read_shard(tmp_path, 0))
    assert posts[:3] == [
        SourcePost(f"u00000{number}", PHOTO + f"00000{number}".encode(), f"Of 00000{number}.", "oslo")
        for number in range(3)
    ]
    reasons = ("opted_out", "not_found", "private_address", "unreachable")
    assert posts[3:] == [SkippedPost(f"u00001{number}", reason) for number, reason in enumerate(reasons)]


@pytest.mark.parametrize("name", ["00000.tar", "00000.parquet"])
def test_a_damaged_shard_is_told(name: str, tmp_path: Path) -> None:
    write_shard(tmp_path, ["000000"])
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:100])
    with pytest.raises(UserError, match=r"00000\.tar is damaged .*; remove .*, then try again"):
        list(read_shard(tmp_path, 0))
    (tmp_path / name).write_bytes(io.BytesIO().getvalue())
    with pytest.raises(UserError, match="is damaged"):
        list(read_shard(tmp_path, 0))
