"""File permissions of databases with personal data, including those created before commands set a umask."""

from contextlib import suppress
from pathlib import Path

_SQLITE = ("", "-wal", "-shm")
"""An SQLite database consists of up to three files."""


def make_private(database: Path) -> None:
    """Restrict the SQLite *database* to its owner (mode 0600). Files of another user are left as they are."""
    for suffix in _SQLITE:
        with suppress(OSError):
            Path(f"{database}{suffix}").chmod(0o600)
