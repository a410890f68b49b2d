import os
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from patience import until

from serving.models import Served
from serving.tables import HashtagTables
from snap2caption.errors import UserError

pytestmark = pytest.mark.unit


def write_version(folder: Path, tag: str, *, complete: bool = True) -> None:
    folder.mkdir()
    row = {"tag": tag, "count": 3, "cities": [{"city": "chicago", "count": 3}], "with": [{"tag": "sky", "count": 1}]}
    pq.write_table(pa.Table.from_pylist([row]), folder / "hashtags.parquet")
    if complete:
        publish(folder)


def publish(folder: Path) -> None:
    (folder / "manifest.json").write_text("{}")
    # Versions that are written within one tick of the file system's clock are told apart.
    os.utime(folder / "manifest.json", ns=(time.time_ns(), time.time_ns()))


def test_the_newest_complete_version_is_followed(tmp_path: Path, served: Served) -> None:
    tables = HashtagTables(tmp_path.as_uri(), poll_seconds=60)
    tables.refresh()
    assert tables.current(served) is served.hashtags

    write_version(tmp_path / "b", "old")
    tables.refresh()
    assert "old" in tables.current(served)

    write_version(tmp_path / "a", "new", complete=False)
    tables.refresh()
    assert "old" in tables.current(served)

    publish(tmp_path / "a")
    tables.refresh()
    assert "new" in tables.current(served)


def test_a_damaged_table_changes_nothing(tmp_path: Path, served: Served) -> None:
    tables = HashtagTables(tmp_path.as_uri(), poll_seconds=60)
    write_version(tmp_path / "a", "good")
    tables.refresh()
    write_version(tmp_path / "b", "bad", complete=False)
    (tmp_path / "b" / "hashtags.parquet").write_bytes(b"no table")
    publish(tmp_path / "b")
    with pytest.raises(UserError, match="can't be read"):
        tables.refresh()
    assert "good" in tables.current(served)


def test_it_follows_by_itself(tmp_path: Path, served: Served) -> None:
    tables = HashtagTables(tmp_path.as_uri(), poll_seconds=0.02)
    tables.start()
    write_version(tmp_path / "a", "new")
    until(lambda: "new" in tables.current(served))
    tables.close()
