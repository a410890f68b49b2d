"""Photographs that packages ship: of the test environment, and of wheels that are read as archives.

``tests/photographs/photographs.tsv`` lists them with their hashes. `make test` downloads the wheels.
"""

import csv
import hashlib
import io
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from snap2caption.settings import ROOT

_LIST = ROOT / "tests" / "photographs" / "photographs.tsv"
_WHEELS = Path(sys.prefix) / "photographs"
_INSTALLED = {"scikit-image", "scikit-learn", "matplotlib"}


@dataclass(frozen=True, slots=True)
class Photograph:
    """A photograph: its package, its path there (`!` before the path within an inner zip), and the encoded image."""

    package: str
    path: str
    content: bytes


def photographs() -> list[Photograph]:
    """Return all photographs of the list, in its order.

    Each has the hash that the list names. Skips the test if the wheels were not downloaded.
    """
    if not _WHEELS.is_dir():
        pytest.skip(f"no photographs; `make {_WHEELS.relative_to(ROOT)}` downloads them")
    with _LIST.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    found = [Photograph(row["package"], row["member"], _read(row["package"], row["member"])) for row in rows]
    hashes = [hashlib.sha256(photograph.content).hexdigest() for photograph in found]
    assert hashes == [row["sha256"] for row in rows]
    return found


def _read(package: str, member: str) -> bytes:
    if package in _INSTALLED:
        return (Path(sysconfig.get_path("platlib")) / member).read_bytes()
    (wheel,) = (path for path in _WHEELS.glob("*.whl") if _name(path) == package)
    outer, _, inner = member.partition("!")
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(outer)
    if not inner:
        return content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(inner)


def _name(wheel: Path) -> str:
    return wheel.name.partition("-")[0].lower().replace("_", "-")
