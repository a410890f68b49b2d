"""Memory of an import: what it takes for more posts of the same kind."""

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

FEW, MANY = 1000, 8000
PHOTO = b"\xff\xd8\xff" + bytes(100)

IMPORT = """
import sys
from pathlib import Path
from etl.import_corpus import import_corpus
imported = import_corpus(Path(sys.argv[1]), Path(sys.argv[2]))
# Of this process alone: the largest that getrusage tells of may be its parent's.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
print(imported.posts, 1024 * int(peak.split()[1]))
"""


def sidecars(folder: Path, posts: int) -> None:
    # All are one photo and one caption by other names, as what is in them is of no matter here.
    for suffix, content in (("jpg", PHOTO), ("txt", b"A day.")):
        (folder / suffix).write_bytes(content)
        for number in range(posts):
            os.link(folder / suffix, folder / f"{number}-of-my-photos.{suffix}")


def shards(folder: Path, posts: int) -> None:
    with tarfile.open(folder / "0.tar", "w") as archive:
        for number in range(posts):
            for suffix, content in (("jpg", PHOTO), ("txt", f"Day {number}.".encode())):
                info = tarfile.TarInfo(f"{number}-of-my-photos.{suffix}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))


def peak(source: Path, posts: int) -> int:
    command = [sys.executable, "-c", IMPORT, str(source), str(source.with_suffix(".zip"))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found, peak = map(int, done.stdout.split())
    assert found == posts
    return peak


@pytest.mark.parametrize("write", [sidecars, shards])
def test_memory_does_not_grow_with_posts(write: Callable[[Path, int], None], tmp_path: Path) -> None:
    peaks = []
    for posts in (FEW, MANY):
        source = tmp_path / str(posts)
        source.mkdir()
        write(source, posts)
        peaks.append(peak(source, posts))
    # What is left is SQLite's cache, 4 MiB that fill up (400 bytes of these posts each). zipfile and tarfile would keep
    # 1,400 bytes of a post and more.
    assert (peaks[1] - peaks[0]) / (MANY - FEW) < 700, peaks
