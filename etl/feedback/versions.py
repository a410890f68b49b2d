"""Location of feedback versions, and their locked work folder."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from etl.transform.writing.versions import file_lock


def versions_uri(datasets_uri: str) -> str:
    """Return the URI under which feedback versions are stored."""
    return f"{datasets_uri.rstrip('/')}/feedback"


@contextmanager
def work_folder(state: Path) -> Iterator[Path]:
    """Yield a work folder under an exclusive lock; it is empty before and removed afterwards.

    Files that a killed run left in it may have been erased since.
    """
    folder = state / "feedback"
    folder.mkdir(parents=True, exist_ok=True)
    work = folder / "work"
    with file_lock(folder / ".lock"):
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)
