"""Build of the website, from the laid-out pages to the checks."""

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
    """Build the website of the project at *root*; return a sentence for each fault in it.

    With *cached*, as `generate` says.
    """
    for folder in (SOURCES, SITE):
        shutil.rmtree(root / folder, ignore_errors=True)
    lay_out(root, root / SOURCES)
    return disagreements(root / CONFIG, root / SOURCES) or generate(root, cached=cached)


def generate(root: Path, *, cached: bool = False) -> list[str]:
    """Build the website of the pages that are laid out; return a sentence for each fault in it.

    Args:
        root: the project's folder.
        cached: keep pages whose text is what it was. A link of theirs may lead to what has moved since, so that
            nothing is a fault before it is one of a build without cache, too.
    """
    if cached and not _generate(root):
        return []
    return _generate(root, "--clean")


def _generate(root: Path, *options: str) -> list[str]:
    """Have Zensical build the site, and check it."""
    command = [str(Path(sys.executable).with_name("zensical")), "build", "--strict", "--config-file", CONFIG, *options]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = re.sub(r"\x1b\[[0-9;]*m", "", done.stderr)  # it colors whatever it writes to
        # What follows the warnings is the generator's own traceback.
        return [said.partition("Traceback (most recent call last)")[0].strip() or said.strip()]
    return check(root / SOURCES, root / SITE)
