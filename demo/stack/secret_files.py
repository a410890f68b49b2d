"""Secret files: written whole or not at all, and readable by their user alone."""

import json
import os
import secrets
from collections.abc import Iterable
from pathlib import Path


def write_secret(path: Path, content: bytes) -> None:
    """Write *content* to *path*, in place of what was there.

    If the process is killed at any point, either the old file or the new one is there.
    """
    draft = path.with_suffix(f"{path.suffix}.draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    draft.replace(path)


def keep_secrets(path: Path, names: Iterable[str], length: int) -> dict[str, str]:
    """Return a secret of *length* random bytes, in hex, for each of *names*.

    Secrets are made once and kept in *path*, to which missing ones are added.
    """
    # The file is empty if an earlier version was killed while writing it.
    found: dict[str, str] = json.loads(path.read_text() or "{}") if path.exists() else {}
    missing = [name for name in names if name not in found]
    if missing:
        found |= {name: secrets.token_hex(length) for name in missing}
        write_secret(path, json.dumps(found).encode())
    return found
