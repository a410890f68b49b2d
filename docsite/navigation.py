"""Navigation check: ``zensical.toml`` must list every page once."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CONFIG = "zensical.toml"


def pages_in(nav: list[Any]) -> Iterator[str]:
    """Yield the path of each page in *nav* and its sections."""
    for entry in nav:
        for target in entry.values() if isinstance(entry, dict) else (entry,):
            if isinstance(target, list):
                yield from pages_in(target)
            else:
                yield target


def disagreements(config: Path, sources: Path) -> list[str]:
    """Return a sentence for each page that is missing or duplicated in the navigation of *config*, and for each entry
    without a page under *sources*.
    """
    listed = [*pages_in(tomllib.loads(config.read_text(encoding="utf-8"))["project"]["nav"])]
    there = {path.relative_to(sources).as_posix() for path in sources.rglob("*.md")}
    return [
        *(f"{page} is not in the navigation; add it to nav in {CONFIG}." for page in sorted(there - {*listed})),
        *(f"{page} is in nav of {CONFIG}, but there is no such page." for page in sorted({*listed} - there)),
        *(f"{page} is in nav of {CONFIG} more than once." for page in sorted({*listed}) if listed.count(page) > 1),
    ]
