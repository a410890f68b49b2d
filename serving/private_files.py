"""Databases of personal data, their owner's alone: those too that were made before commands set a umask."""

from contextlib import suppress
from pathlib import Path

_SQLITE = ("", "-wal", "-shm")
"""A database of SQLite is up to three files."""


def make_private(database: Path) -> None:
    """Let nobody but its owner read or write the SQLite *database*. What is another user's is left to them."""
    for suffix in _SQLITE:
        with suppress(OSError):
            Path(f"{database}{suffix}").chmod(0o600)
