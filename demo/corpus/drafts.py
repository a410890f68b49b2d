"""Draft of an archive, in a temporary folder beside its final place."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from snap2caption.errors import UserError


@contextmanager
def open_draft(out: Path, kind: str) -> Iterator[Path]:
    """Yield the path to write the zip *out* to, from where it is moved once it is whole.

    The draft's folder is removed in the end. *kind* is what messages call the archive.

    Raises:
        UserError: *out* is a folder, or can't be written.
    """
    if out.is_dir():
        raise UserError(f"{out} is a folder; give the name of the zip file to write.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
            yield Path(folder) / out.name
    except OSError as error:
        raise UserError(
            f"The {kind} can't be written to {out} ({error.strerror}); free some space or choose another place."
        ) from error
