import os
import time
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from patience import until
from starlette.testclient import TestClient

from serving.app import build_app
from serving.captioning.hashtag_tables import HashtagTables
from serving.models.served_model import ServedModel
from serving.settings import ServingSettings
from snap2caption.errors import UserError
from snap2caption.hashtags.table import HashtagTable

pytestmark = pytest.mark.unit


def write_version(folder: Path, tag: str, *, complete: bool = True) -> None:
    folder.mkdir()
    row = {"tag": tag, "count": 3, "cities": [{"city": "chicago", "count": 3}], "with": [{"tag": "sky", "count": 1}]}
    pq.write_table(pa.Table.from_pylist([row]), folder / "hashtags.parquet")
    if complete:
        publish(folder)


def publish(folder: Path) -> None:
    (folder / "manifest.json").write_text("{}")
    # Versions written within one tick of the file system's clock get different times.
    os.utime(folder / "manifest.json", ns=(time.time_ns(), time.time_ns()))


def test_the_newest_complete_version_is_followed(tmp_path: Path, served: ServedModel) -> None:
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


def test_a_damaged_table_changes_nothing(tmp_path: Path, served: ServedModel) -> None:
    tables = HashtagTables(tmp_path.as_uri(), poll_seconds=60)
    write_version(tmp_path / "a", "good")
    tables.refresh()
    write_damaged(tmp_path / "b")
    with pytest.raises(UserError, match="can't be read"):
        tables.refresh()
    assert "good" in tables.current(served)


def test_it_follows_by_itself(tmp_path: Path, served: ServedModel) -> None:
    tables = HashtagTables(tmp_path.as_uri(), poll_seconds=0.02)
    tables.start()
    write_version(tmp_path / "a", "new")
    until(lambda: "new" in tables.current(served))
    tables.close()


def write_damaged(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "hashtags.parquet").write_bytes(b"no table")
    publish(folder)


def sample(metrics: str, name: str) -> float:
    return next(float(line.split()[1]) for line in metrics.splitlines() if line.startswith(f"{name} "))


def test_a_table_that_can_not_be_had_is_told_until_it_can(served: ServedModel, tmp_path: Path, photo: bytes) -> None:
    given = ServingSettings(cache_dir=tmp_path, voice_file=tmp_path / "voice.sqlite")
    store = tmp_path / "datasets"
    write_damaged(store / "a")
    tables = HashtagTables(store.as_uri(), poll_seconds=0.02)
    untabled = replace(served, hashtags=HashtagTable.from_rows([]))
    with TestClient(build_app(given, lambda: untabled, tables=tables)) as client:

        def look() -> dict[str, object]:
            answer = client.get("/readyz")
            assert answer.status_code == 200
            return answer.json()

        until(lambda: look()["hashtags"] is not None)
        assert look()["degraded"] == ["hashtags"]
        assert look()["hashtags"] == {"known": 0, "version": None, "reachable": False, "last_contact_seconds": None}
        metrics = client.get("/metrics").text
        assert "\nsnap2caption_hashtags_known 0.0\n" in metrics
        assert 'snap2caption_degraded{what="hashtags"} 1.0' in metrics
        answer = client.post("/generate-caption", files={"image": photo}).json()
        assert [notice for notice in answer["notices"] if "come only from the model and the place" in notice]
        write_version(store / "b", "new")
        until(lambda: look()["hashtags"]["version"] == "b")
        assert look()["degraded"] == []
        assert look()["hashtags"]["last_contact_seconds"] >= 0
        metrics = client.get("/metrics").text
        assert "\nsnap2caption_hashtags_known 1.0\n" in metrics
        assert "snap2caption_datasets_contact_timestamp_seconds 0.0" not in metrics
        published = (store / "b" / "manifest.json").stat().st_mtime
        assert sample(metrics, "snap2caption_dataset_published_timestamp_seconds") == pytest.approx(published, abs=1)
        answer = client.post("/generate-caption", files={"image": photo}).json()
        assert not [notice for notice in answer["notices"] if "come only from the model and the place" in notice]
        # The last table stays in use while the next one can't be read.
        write_damaged(store / "c")
        until(lambda: look()["degraded"] == ["hashtags"])
        assert look()["hashtags"]["known"] == 1
