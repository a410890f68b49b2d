"""Zips to download, and the files of a download."""

import hashlib
import random
from pathlib import Path

from archives import zip_of

# The same bytes in each of pytest-xdist's workers: names of tests are made of them.
_BYTES = random.Random(16)
CONTENT = zip_of(_BYTES.randbytes(6 * 1024 * 1024))
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = zip_of(_BYTES.randbytes(6 * 1024 * 1024))


def names(folder: Path) -> set[str]:
    """Return the names of the files in *folder*, without locks."""
    return {file.name for file in folder.iterdir() if not file.name.endswith(".lock")}
