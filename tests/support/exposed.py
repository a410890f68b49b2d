"""What on the disk others than its owner may read, write or enter."""

from pathlib import Path

THEIRS = (".vif",)
"""Ends of names of files that a program sets the rights of itself: SeaweedFS's notes on a volume (its format, no
content).
"""


def exposed(folder: Path) -> list[str]:
    """Return the folders and files in *folder*, itself included, that others have any right to, with their rights."""
    found = [path for path in (folder, *sorted(folder.rglob("*"))) if not path.is_symlink() and path.exists()]
    rights = {path: path.stat().st_mode & 0o777 for path in found if not path.name.endswith(THEIRS)}
    return [f"{mode:o} {path.relative_to(folder)}" for path, mode in rights.items() if mode & 0o077]
