"""What lies in a folder or a store."""

from pathlib import Path

from snap2caption.store import ObjectStore

DATED = ("manifest.json", "card.html", "croissant.json")
"""Files of a version of feedback that tell when it was made, or where from."""


def files_in(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def read(store: ObjectStore, key: str) -> bytes:
    with store.get(key) as stream:
        return stream.read()
