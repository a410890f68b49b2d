"""Website build: collects the pages, runs Zensical, and checks the result."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from docsite.check import check
from docsite.layout import lay_out
from docsite.navigation import CONFIG, disagreements

SOURCES = Path("build", "docs")
SITE = Path("build", "site")


def build(root: Path, *, cached: bool = False) -> list[str]:
    """Build the website of the project at *root*; return a sentence for each fault.

    *cached* is as in `generate`.
    """
    for folder in (SOURCES, SITE):
        shutil.rmtree(root / folder, ignore_errors=True)
    lay_out(root, root / SOURCES)
    return disagreements(root / CONFIG, root / SOURCES) or generate(root, cached=cached)


def generate(root: Path, *, cached: bool = False) -> list[str]:
    """Build the website from the collected pages; return a sentence for each fault.

    Args:
        root: the project's folder.
        cached: do not build unchanged pages again. Their links may be stale, so faults are confirmed by a build
            without the cache.
    """
    if cached and not _generate(root):
        return []
    return _generate(root, "--clean")


def _generate(root: Path, *options: str) -> list[str]:
    """Build the site with Zensical, and check it."""
    command = [str(Path(sys.executable).with_name("zensical")), "build", "--strict", "--config-file", CONFIG, *options]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        output = re.sub(r"\x1b\[[0-9;]*m", "", done.stderr)  # it writes colors even to a pipe
        # The warnings are followed by Zensical's own traceback.
        return [output.partition("Traceback (most recent call last)")[0].strip() or output.strip()]
    return check(root / SOURCES, root / SITE)
