"""Integrity, origin and licenses of the web page's npm packages, by ``package-lock.json``, checked offline."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from supply_chain.licenses import is_permissive
from supply_chain.requirements import LockError

REGISTRY = "https://registry.npmjs.org/"
FOLDER = Path("frontend")
EXACT = re.compile(r"\d+\.\d+\.\d+(-[\w.]+)?")
REMEDY = "run `npm install --ignore-scripts` in frontend/"

WEIGHED = {
    "@fontsource-variable/figtree": "OFL-1.1, which lets software ship a font that is not sold by itself",
    "libheif-js": "LGPL-3.0, a file of its own that is loaded as it came and can be replaced",
}
"""Packages in the built page whose licenses are not in `licenses.PERMISSIVE`, and why they are accepted."""


def locked(root: Path) -> set[tuple[str, str]]:
    """Return the name and version of each npm package of the project at *root*.

    Raises:
        LockError: the lock can't be read.
    """
    packages = _read(root / FOLDER / "package-lock.json")["packages"]
    return {(_name(path), entry["version"]) for path, entry in packages.items() if _name(path)}


def disagreements(root: Path) -> list[str]:
    """Return a sentence for each npm package of the project at *root* that is not pinned, or has an unreviewed license.

    Licenses count for what is in the built page, and not for the tools that build it.
    """
    try:
        package = _read(root / FOLDER / "package.json")
        lock = _read(root / FOLDER / "package-lock.json")
    except LockError as error:
        return [str(error)]
    return [
        *_ranges(package),
        *(sentence for path, entry in lock["packages"].items() for sentence in _judge(path, entry)),
    ]


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LockError(f"{path} can't be read ({error}); {REMEDY}.") from error


def _name(path: str) -> str:
    """Return the package's name, of its *path* in the lock; empty: it is the page itself."""
    return path.rpartition("node_modules/")[2]


def _ranges(package: dict[str, Any]) -> Iterable[str]:
    for kind in ("dependencies", "devDependencies"):
        for name, version in package[kind].items():
            if not EXACT.fullmatch(version):
                yield f"frontend/package.json asks for {name} {version}; ask for exactly one version."


def _judge(path: str, entry: dict[str, Any]) -> Iterable[str]:
    name = _name(path)
    # A bundled package is in its parent's archive, whose hash covers it.
    if not name or entry.get("inBundle"):
        return
    if not entry.get("integrity", "").startswith("sha512-"):
        yield f"frontend/package-lock.json has no SHA-512 of {name}; {REMEDY}."
    if not entry.get("resolved", REGISTRY).startswith(REGISTRY):
        yield f"frontend/package-lock.json takes {name} from {entry['resolved']}; take it from {REGISTRY}."
    stated = entry.get("license", "")
    if not entry.get("dev") and name not in WEIGHED and not is_permissive(stated):
        yield (
            f"{name} in the web page has the license {stated or 'none'!r}; read it, then add it to supply_chain/npm.py, "
            "or do without it."
        )
