"""A full disk: found before the download where the length is known, in the middle where not, and no harm to the next
run.
"""

import os
import subprocess
from pathlib import Path

import pytest
from archives import zip_of

from etl.extract import Progress, extract
from snap2caption.errors import UserError

pytestmark = pytest.mark.integration

CONTENT = zip_of(os.urandom(5 * 1024 * 1024))
LARGE = zip_of(os.urandom(12 * 1024 * 1024))


def fill(disk: Path) -> Path:
    """Leave less than a page."""
    ballast = disk / "ballast"
    descriptor = os.open(ballast, os.O_CREAT | os.O_WRONLY)
    try:
        while os.write(descriptor, bytes(65536)):
            pass
    except OSError:
        return ballast
    finally:
        os.close(descriptor)


def test_a_full_disk_is_found_early_where_the_length_is_known(publisher, small_disk: Path) -> None:
    publisher.files, publisher.rate = {"corpus.zip": LARGE}, 100_000
    sentence = r"The disk is full: 1\d MB are still to come and [78] MB are free; free some space under .*disk, then"
    with pytest.raises(UserError, match=sentence):
        extract([f"{publisher.url}/corpus.zip"], small_disk)
    assert publisher.sent < len(LARGE) / 4
    assert not (small_disk / "corpus.zip").exists()


def test_a_disk_filled_in_the_middle_is_gone_on_from(publisher, small_disk: Path) -> None:
    publisher.files, publisher.rate = {"corpus.zip": CONTENT}, 400_000
    url = f"{publisher.url}/corpus.zip"
    ballast: list[Path] = []

    def watch(progress: Progress) -> None:
        if progress.done > 2_000_000 and not ballast:
            ballast.append(fill(small_disk))

    with pytest.raises(UserError, match="The disk is full"):
        extract([url], small_disk, on_progress=watch)
    assert not (small_disk / "corpus.zip").exists()
    ballast[0].unlink()
    publisher.rate = 0
    assert extract([url], small_disk).read_bytes() == CONTENT


def test_of_unknown_length_a_full_disk_is_found_at_its_end(publisher, small_disk: Path) -> None:
    publisher.files, publisher.tells_length = {"corpus.zip": LARGE, "small.zip": CONTENT}, False
    with pytest.raises(UserError, match=r"The disk is full; free some space under .*disk, then try again\."):
        extract([f"{publisher.url}/corpus.zip"], small_disk)
    # Nothing of it is of use, and it makes room.
    assert {file.name for file in small_disk.iterdir()} == {".corpus.zip.lock"}
    assert extract([f"{publisher.url}/small.zip"], small_disk).read_bytes() == CONTENT


def test_a_part_that_is_there_already_needs_no_room(publisher, small_disk: Path) -> None:
    publisher.files, publisher.rate = {"corpus.zip": CONTENT}, 400_000
    url = f"{publisher.url}/corpus.zip"

    def interrupt(progress: Progress) -> None:
        if progress.done > 4_000_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract([url], small_disk, on_progress=interrupt)
    publisher.rate = 0
    assert extract([url], small_disk).read_bytes() == CONTENT


def test_a_disk_that_can_only_be_read_is_one_sentence(publisher, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(UserError, match=r"disk can't be written to \(Read-only file system\); give a folder"):
        extract([f"{publisher.url}/corpus.zip"], small_disk)
    with pytest.raises(UserError, match=r"disk/out can't be written to \(Read-only file system\); give a folder"):
        extract([f"{publisher.url}/corpus.zip"], small_disk / "out")
