"""Commands that README and docs show, and a shell that runs them in order as a reader would."""

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from patience import LONGEST

ROOT = Path(__file__).parents[2]
FIRST = ROOT / "docs" / "tutorial.md"
"""The page that makes what the other pages use, such as a dataset version."""

_SHELL = frozenset({"bash", "console", "sh", "shell"})
_FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>```+)(?P<language>[^\n`]*)\n(?P<text>.*?)^(?P=indent)(?P=fence) *$",
    re.MULTILINE | re.DOTALL,
)
_MARK = re.compile(r"<!-- not run: (?P<reason>(?:(?!-->).)+) -->\n\n?\Z", re.DOTALL)

_PREAMBLE = """\
set -Eeuo pipefail
curl() { command curl --silent --show-error --fail-with-body "$@"; }
trap 'echo "$block: $BASH_COMMAND" > failed' ERR
"""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page. ``reason`` says why it is not run; empty: it is."""

    page: str
    line: int
    language: str
    text: str
    reason: str

    @property
    def place(self) -> str:
        """Where it is, as editors write it."""
        return f"{self.page}:{self.line}"

    @property
    def is_shell(self) -> bool:
        """Whether it holds commands for a shell."""
        return self.language in _SHELL

    @property
    def is_command(self) -> bool:
        """Whether a reader runs it, in a shell or in Python."""
        return self.is_shell or self.language == "python"

    @property
    def is_run(self) -> bool:
        """Whether its commands are run."""
        return self.is_command and not self.reason


def pages() -> list[Path]:
    """Return the pages in the order in which their commands are run."""
    found = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
    return sorted(found, key=lambda page: page != FIRST)


def read_blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of *page*."""
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        before = text[: found.start()]
        mark = _MARK.search(before)
        name, line = str(page.relative_to(ROOT)), before.count("\n") + 1
        reason = " ".join(mark["reason"].split()) if mark else ""
        yield Block(name, line, found["language"].strip(), found["text"], reason)


def runnable_blocks() -> list[Block]:
    """Return the blocks that are run, in order."""
    return [block for page in pages() for block in read_blocks(page) if block.is_run]


def run_blocks(
    blocks: Iterable[Block], folder: Path, environment: Mapping[str, str], replaced: Mapping[str, str]
) -> None:
    """Run the blocks in *folder*, in one shell and with the tests' environment as ``.venv``, each text of *replaced*
    replaced by the value beside it.

    Raises:
        AssertionError: a command failed, or a text to be replaced is on no page.
    """
    (folder / ".venv").symlink_to(sys.prefix)
    script = _PREAMBLE + "".join(map(_as_shell, blocks))
    for shown, real in replaced.items():
        assert shown in script, f"No page shows {shown!r}."
        script = script.replace(shown, real)
    # A file, since a command that reads standard input would take the rest of a script that came by it.
    file, failed = folder / "commands.sh", folder / "failed"
    file.write_text(script, encoding="utf-8")
    done = subprocess.run(
        ["bash", str(file)],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )
    where = failed.read_text() if failed.exists() else ""
    assert done.returncode == 0, f"{where}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


def _as_shell(block: Block) -> str:
    text = block.text if block.is_shell else f"python - <<'END'\n{block.text}END\n"
    return f"block={block.place}\n{text}"
