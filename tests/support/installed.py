"""The wheel, built and installed in environments outside the checkout.

A download of gigabytes is no test. So an environment gets links to the installed packages that the wheel's own metadata
asks for with some extras, and to no others: what an extra forgets is missing there, as it would be after a real
installation.
"""

import os
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from patience import LONGEST

from snap2caption.settings import ROOT

PAGE = "serving/page/dist"
"""The built web page, which git does not know."""


def build_wheel(folder: Path) -> Path:
    """Return the wheel of the checkout with its web page, built from a copy, so that no build folder is left behind."""
    assert (ROOT / PAGE / "index.html").exists(), "the web page is not built: run `make web`"
    copy = folder / "source"
    copy.mkdir()
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    archive = subprocess.run(
        ["tar", "--create", "--files-from=-"],
        input=f"{listed}{PAGE}\n".encode(),
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    subprocess.run(["tar", "--extract"], input=archive.stdout, cwd=copy, check=True)
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder)]
    _pip("wheel", *options, str(copy))
    [wheel] = folder.glob("*.whl")
    return wheel


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment with the wheel, and a folder for its user."""

    folder: Path

    @classmethod
    def make(cls, wheel: Path, folder: Path, extras: Sequence[str] = ()) -> "Installed":
        """Install *wheel* in *folder*, with *extras*."""
        venv.create(folder, symlinks=True)
        [packages] = folder.glob("lib/python3*/site-packages")
        _pip("--python", str(folder / "bin" / "python"), "install", "--no-deps", "--no-index", str(wheel))
        [own] = packages.glob("snap2caption-*.dist-info")
        for entry in _entries(PathDistribution(own), extras):
            if not (packages / entry.name).exists():
                (packages / entry.name).symlink_to(entry)
        (folder / "home").mkdir()
        return cls(folder)

    @property
    def command(self) -> Path:
        """The command line."""
        return self.folder / "bin" / "snap2caption"

    @property
    def state(self) -> Path:
        """Where what it writes is expected."""
        return self.folder / "home" / "data" / "snap2caption"

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment's variables, none of ours and none of Python's among them but *more*."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SNAP2CAPTION", "PYTHON"))}
        return {**kept, "HOME": str(self.folder / "home"), "XDG_DATA_HOME": str(self.state.parent), **more}

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run the command line in the user's folder."""
        return subprocess.run(
            [self.command, *arguments],
            cwd=self.folder / "home",
            env=self.environment(**more),
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
        )


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False)
    assert done.returncode == 0, done.stderr


def _entries(own: Distribution, extras: Sequence[str]) -> Iterator[Path]:
    """Yield what the distributions that *own* needs with *extras* have at the top of ``site-packages``."""
    waiting = [(own, extra) for extra in ("", *extras)]
    seen: set[tuple[str, str]] = set()
    while waiting:
        found, extra = waiting.pop()
        if found is not own:
            for file in found.files or ():
                if file.parts[0] not in {"..", "__pycache__"}:
                    yield Path(str(found.locate_file(file.parts[0])))
        for text in found.requires or ():
            requirement = Requirement(text)
            if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
                continue
            name = canonicalize_name(requirement.name)
            needed = own if name == "snap2caption" else distribution(name)
            for wanted in ("", *requirement.extras):
                if (name, wanted) not in seen:
                    seen.add((name, wanted))
                    waiting.append((needed, wanted))
