"""Where versions of feedback are made, and where they lie."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from etl.transform.writing.versions import locked


def versions_uri(datasets_uri: str) -> str:
    """Return the URI under which versions of feedback lie."""
    return f"{datasets_uri.rstrip('/')}/feedback"


@contextmanager
def workbench(state: Path) -> Iterator[Path]:
    """Hold, alone, a folder that is empty before and gone afterwards: what a run that was killed left in it may have been erased since."""
    folder = state / "feedback"
    folder.mkdir(parents=True, exist_ok=True)
    work = folder / "work"
    with locked(folder / ".lock"):
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)
