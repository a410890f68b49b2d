"""Release notes: the section of ``CHANGELOG.md`` for a tag that agrees with ``pyproject.toml``."""

import re
import tomllib
from pathlib import Path


class ReleaseError(ValueError):
    """A tag can't be released. The message says what to change."""


def notes(root: Path, tag: str) -> str:
    """Return the release notes of *tag* (``v1.2.3``), as Markdown, for the project at *root*.

    Raises:
        ReleaseError: the tag is not ``v`` and the version of ``pyproject.toml``, or ``CHANGELOG.md`` has no section,
            or an empty one, for that version.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    version = str(project["project"]["version"])
    if tag != f"v{version}":
        raise ReleaseError(f"The tag is {tag or 'missing'}, but pyproject.toml has version {version}; tag v{version}.")
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    # Keep a Changelog: "## [1.2.3] - 2026-11-28", up to the next version or the links at the end.
    found = re.search(
        rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |^\[[^\]]+\]: |\Z)", changelog, re.M | re.S
    )
    if found is None or not found[1].strip():
        raise ReleaseError(
            f"CHANGELOG.md has no section for {version}; rename [Unreleased] to [{version}] - YYYY-MM-DD."
        )
    return found[1].strip() + "\n"
