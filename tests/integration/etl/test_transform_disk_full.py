"""A transform on a full disk: one sentence, and the next run goes on."""

import os
from pathlib import Path

import pytest

from demo.corpus.archive import write_corpus
from etl.transform import transform
from snap2caption.errors import UserError

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "corpus.zip", 60, 1)


@pytest.fixture(scope="module")
def version(corpus: Path) -> Path:
    return transform(corpus, corpus.parent / "out", workers=1)


# Nothing fits; the plan does; the slice does; some of the version does.
@pytest.mark.parametrize("free", [0, 12_000, 60_000, 300_000])
def test_a_full_disk_is_one_sentence_and_the_next_run_completes(
    corpus: Path, version: Path, small_disk: Path, free: int
) -> None:
    out = small_disk / "out"
    out.mkdir()
    room = os.statvfs(small_disk)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(room.f_bavail * room.f_frsize - free))
    with pytest.raises(UserError, match="free some space"):
        transform(corpus, out, workers=1)
    assert not [folder for folder in out.iterdir() if folder.name == version.name]
    ballast.unlink()
    again = transform(corpus, out, workers=1)
    assert {file.name: file.read_bytes() for file in again.iterdir()} == {
        file.name: file.read_bytes() for file in version.iterdir()
    }
    assert [folder.name for folder in out.iterdir() if folder.name != ".inputs"] == [version.name]
