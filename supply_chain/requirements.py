"""Requirements files in pip's hash-checking format."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

SHA256 = re.compile(r"sha256:[0-9a-f]{64}")


class LockError(ValueError):
    """A lock or constraints file is invalid. The message says where, and what to do."""


@dataclass(frozen=True)
class Pin:
    """One package at one version.

    ``marker`` is a PEP 508 marker, or empty if the package is always needed. ``hashes`` has ``sha256:HEX`` for each
    file of the release.
    """

    name: NormalizedName
    version: str
    marker: str = ""
    hashes: tuple[str, ...] = ()

    def __str__(self) -> str:
        requirement = f"{self.name}=={self.version}" + (f" ; {self.marker}" if self.marker else "")
        return " \\\n    ".join([requirement, *(f"--hash={digest}" for digest in self.hashes)])


Pins = dict[NormalizedName, Pin]


def parse(text: str, where: str) -> Pins:
    """Return the packages that *text* pins. Options of pip are ignored. *where* is named in errors.

    Raises:
        LockError: a line is not an exact pin, or a package occurs twice.
    """
    pins: Pins = {}
    for line in re.sub(r"\\\n", " ", text).splitlines():
        requirement, *options = re.split(r"\s+--hash=", line.partition("#")[0].strip())
        if not requirement or requirement.startswith("--"):
            continue
        pin = _pin(requirement, tuple(options), where)
        if pin.name in pins:
            raise LockError(f"{where} has {pin.name} twice; keep one of the lines.")
        pins[pin.name] = pin
    return pins


def _pin(requirement: str, hashes: tuple[str, ...], where: str) -> Pin:
    try:
        parsed = Requirement(requirement)
    except ValueError as error:
        raise LockError(f"{where} has a line that is no requirement: {requirement}") from error
    exact = [specifier.version for specifier in parsed.specifier if specifier.operator == "=="]
    if len(exact) != 1 or len(parsed.specifier) != 1 or exact[0].endswith(".*"):
        raise LockError(f"{where} does not say exactly which {parsed.name}; write {parsed.name}==VERSION.")
    return Pin(canonicalize_name(parsed.name), exact[0], str(parsed.marker or ""), hashes)


def read(path: Path) -> Pins:
    """Return the pins of the file at *path*.

    Raises:
        LockError: it does not exist, or is not a file of pins.
    """
    try:
        return parse(path.read_text(encoding="utf-8"), path.name)
    except FileNotFoundError as error:
        raise LockError(f"{path} is missing; run `make lock`.") from error


def write(path: Path, pins: Iterable[Pin], header: str, *options: str) -> None:
    """Write *pins*, sorted by name, below *header* and pip's *options*."""
    lines = [
        *(f"# {line}" for line in header.splitlines()),
        *options,
        *(str(pin) for pin in sorted(pins, key=lambda pin: pin.name)),
    ]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
