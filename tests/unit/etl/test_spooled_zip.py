import zipfile
from pathlib import Path

import pytest

from etl.spooled_zip import SpooledZip
from snap2caption.datasets.corpus_members import caption_member, image_member, write_member

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("posts", [0, 3, 30])
def test_the_bytes_are_those_of_a_zip(posts: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # With more members, which are 65,535, a zip has further records.
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 40)
    for path, kind in ((tmp_path / "a.zip", SpooledZip), (tmp_path / "b.zip", lambda path: zipfile.ZipFile(path, "w"))):
        with kind(path) as archive:
            for number in range(posts):
                write_member(archive, image_member("köln", f"{number}", b"photo"))
                write_member(archive, caption_member("köln", f"{number}", "Day 🌉.".encode() * (number % 3)))
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"a.zip", "b.zip"}
