"""Building the page: what a built page holds, and what is left after a build that fails or is killed."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import patience
import pytest

from serving.page.files import DIST, MEDIA_TYPES, SUFFIXES
from snap2caption.settings import ROOT

pytestmark = pytest.mark.integration

BROKEN = 'import "./nowhere";\n'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the page is built from, with a page of an earlier build."""
    for name in ("Makefile", "scripts", "locks", "images.txt", "pyproject.toml", "docsite"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    shutil.copytree(ROOT / "frontend", tmp_path / "frontend", ignore=shutil.ignore_patterns("node_modules"))
    (tmp_path / "frontend" / "node_modules").symlink_to(ROOT / "frontend" / "node_modules")
    old = tmp_path / "serving" / "page" / "dist" / "index.html"
    old.parent.mkdir(parents=True)
    old.write_text("old")
    os.utime(old, (0, 0))
    # As if everything else were installed.
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / ".installed").touch()
    return tmp_path


def make(checkout: Path, target: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        ["make", "--no-print-directory", target],
        cwd=checkout,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def shown(checkout: Path) -> str:
    return (checkout / "serving" / "page" / "dist" / "index.html").read_text()


def test_a_build_that_fails_leaves_the_old_page_and_says_so(checkout: Path) -> None:
    entry = checkout / "frontend" / "src" / "main.tsx"
    entry.write_text(BROKEN + entry.read_text())
    with make(checkout, "web") as build:
        output, _ = build.communicate(timeout=patience.LONGEST)
    assert build.returncode != 0
    assert "Module not found" in output
    assert shown(checkout) == "old"
    # What can do without the page goes on, with one sentence.
    with make(checkout, "try-web") as build:
        output, _ = build.communicate(timeout=patience.LONGEST)
    assert build.returncode == 0
    assert [line for line in output.splitlines() if not line.startswith("[2/2]")] == [
        "warning: The web page could not be built, so this goes on without a new one; run `make web` to see why."
    ]
    assert shown(checkout) == "old"


def test_a_build_that_is_killed_leaves_the_old_page(checkout: Path) -> None:
    draft = checkout / "build" / "page" / "index.html"
    with make(checkout, "web") as build:
        patience.until(lambda: draft.exists() or build.poll() is not None)
        os.killpg(build.pid, signal.SIGKILL)
    assert shown(checkout) == "old"
    with make(checkout, "web") as build:
        output, _ = build.communicate(timeout=patience.LONGEST)
    assert build.returncode == 0, output
    assert '<div id="root">' in shown(checkout)
    # Nothing has changed since.
    assert subprocess.run(["make", "--question", "web"], cwd=checkout, check=False).returncode == 0


def test_browsers_are_told_what_each_file_is() -> None:
    files = [file for file in DIST.rglob("*") if file.is_file()]
    originals = {file for file in files if file.suffix not in SUFFIXES.values()}
    assert {file.suffix for file in originals} <= MEDIA_TYPES.keys()
    # A compressed copy belongs to each of the others, and is of the same build.
    assert {file.with_suffix("") for file in files} - {file.with_suffix("") for file in originals} <= originals
