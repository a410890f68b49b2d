"""Build of the website, from the laid-out pages to the checks."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from docsite.check import check
from docsite.layout import lay_out
from docsite.navigation import CONFIG, disagreements

SOURCES = Path("build", "docs")
SITE = Path("build", "site")


def build(root: Path) -> list[str]:
    """Build the website of the project at *root*; return a sentence for each fault in it."""
    for folder in (SOURCES, SITE):
        shutil.rmtree(root / folder, ignore_errors=True)
    lay_out(root, root / SOURCES)
    if faults := disagreements(root / CONFIG, root / SOURCES):
        return faults
    # Its cache knows a page by its text alone, not by the code that a reference page shows: it starts without one.
    command = [str(Path(sys.executable).with_name("zensical")), "build", "--strict", "--clean", "--config-file", CONFIG]
    environment = {**os.environ, "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        # What follows the warnings is the generator's own traceback.
        return [done.stderr.partition("Traceback (most recent call last)")[0].strip() or done.stderr.strip()]
    return check(root / SOURCES, root / SITE)
