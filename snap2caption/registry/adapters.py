"""Adapters as folders of files: digest, and checks of the weights."""

import hashlib
from pathlib import Path

from snap2caption.errors import UserError

WEIGHTS = "adapter_model.safetensors"


def digest_of(folder: Path) -> str:
    """Return the SHA-256 over the names and contents of a folder's files."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(file.relative_to(folder).as_posix().encode() + b"\0")
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def check_weights(adapter: Path) -> None:
    """Check that an adapter's weights are safetensors in this folder.

    PEFT would also unpickle, or ask the hub for the folder's name.

    Raises:
        UserError: they are not.
    """
    if not (adapter / WEIGHTS).is_file():
        raise UserError(
            f"The adapter in {adapter} does not fit the base model or is damaged (it has no {WEIGHTS}); train it again."
        )
