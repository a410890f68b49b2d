"""Installation steps: console output and log."""

import os
import pty
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from patience import LONGEST, until

from snap2caption.settings import ROOT

pytestmark = pytest.mark.unit

STEP = ROOT / "scripts" / "step"
LABEL = "[3/4] torch"
NOISE = "import sys; [print(f'WARNING: Location {n} is ignored', file=sys.stderr) for n in range(300)]; print('Collecting torch')"


def step(log: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [STEP, log, LABEL, *command], capture_output=True, text=True, timeout=LONGEST, stdin=subprocess.DEVNULL
    )


def test_a_step_is_two_lines_and_its_noise_is_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "venv" / "install.log"
    for _ in range(2):
        done = step(log, sys.executable, "-c", NOISE)
        assert (done.returncode, done.stdout) == (0, "")
        assert re.fullmatch(r"\[3/4\] torch \.\.\.\n\[3/4\] torch: done in \d+ s\n", done.stderr)
    assert log.read_text().count("WARNING: Location") == 600
    assert log.read_text().count("== [3/4] torch, ") == 2


def test_a_step_that_fails_shows_what_matters_and_names_the_log(tmp_path: Path) -> None:
    log = tmp_path / "install.log"
    log.write_text("of a step before\n")
    code = f"{NOISE}; print('ERROR: No matching distribution found for torch', file=sys.stderr); print(' \\n'); sys.exit(7)"
    done = step(log, sys.executable, "-c", code)
    assert done.returncode == 7
    first, *shown, error = done.stderr.splitlines()
    assert first == "[3/4] torch ..."
    assert shown == ["ERROR: No matching distribution found for torch", "Collecting torch"] or shown == [
        "Collecting torch",
        "ERROR: No matching distribution found for torch",
    ]
    assert re.fullmatch(
        rf"error: \[3/4\] torch failed after \d+ s with status 7; .* run the same again: .* is in {re.escape(str(log))}\.", error
    )  # fmt: skip


def test_a_step_that_can_be_done_without_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        [STEP, tmp_path / "install.log", LABEL, "sh", "-c", "echo noise >&2; exit 7"],
        env={**os.environ, "STEP_FAILURE": "The page could not be built."},
        capture_output=True,
        text=True,
        timeout=LONGEST,
    )
    assert done.returncode == 7
    assert done.stderr == f"{LABEL} ...\nwarning: The page could not be built.\n"


def test_a_command_that_is_not_there_is_told(tmp_path: Path) -> None:
    done = step(tmp_path / "install.log", "no-such-command")
    assert done.returncode == 127
    assert "no-such-command: not found" in done.stderr


class Terminal:
    """A step on a terminal of its own."""

    def __init__(self, log: Path, *command: str) -> None:
        ours, its = pty.openpty()
        # A shell starts what runs in the background with SIGINT ignored. That is inherited, and no script can take it
        # back.
        usual = signal.signal(signal.SIGINT, signal.SIG_DFL)
        try:
            self.process = psutil.Popen(
                [STEP, log, LABEL, *command], stdin=its, stdout=its, stderr=its, start_new_session=True
            )
        finally:
            signal.signal(signal.SIGINT, usual)
        os.close(its)
        self._terminal = ours

    def look(self) -> str:
        """Return what is shown next."""
        return os.read(self._terminal, 4096).decode()

    def read(self) -> str:
        """Return what is shown until nobody can write to the terminal any more."""
        shown = ""
        # Linux's way of saying that the other end is closed.
        with suppress(OSError):
            while more := self.look():
                shown += more
        os.close(self._terminal)
        return shown


def test_on_a_terminal_a_clock_runs_in_one_line(tmp_path: Path) -> None:
    go = tmp_path / "go"
    terminal = Terminal(tmp_path / "install.log", "sh", "-c", f"until [ -e {go} ]; do sleep 0.05; done")
    shown = ""
    while " s " not in shown:
        shown += terminal.look()
    go.touch()
    shown += terminal.read()
    assert terminal.process.wait(LONGEST) == 0
    assert re.fullmatch(
        r"\[3/4\] torch \.\.\. (\r\[3/4\] torch \.\.\. \d+ s )+\r\[3/4\] torch: done in \d+ s *\r\n", shown
    )


def sleeping(folder: Path) -> tuple[Terminal, psutil.Process]:
    """Return a step whose command does not end, and the command's process."""
    pid = folder / "pid"
    terminal = Terminal(folder / "install.log", "sh", "-c", f"echo $$ > {pid}; exec sleep 3600")
    return terminal, psutil.Process(int(until(lambda: pid.exists() and pid.read_text())))


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_step_that_is_stopped_leaves_nothing_running(tmp_path: Path, number: signal.Signals, status: int) -> None:
    terminal = sleeping(tmp_path)[0]
    family = terminal.process.children(recursive=True)
    # As a terminal does, and make: all of the group.
    os.killpg(terminal.process.pid, number)
    assert terminal.process.wait(LONGEST) == status
    assert psutil.wait_procs(family, LONGEST)[1] == []
    terminal.read()


def test_a_killed_step_leaves_no_clock(tmp_path: Path) -> None:
    terminal, command = sleeping(tmp_path)
    family = terminal.process.children(recursive=True)
    terminal.process.kill()
    terminal.process.wait(LONGEST)
    command.kill()
    assert psutil.wait_procs(family, LONGEST)[1] == []
    terminal.read()


def install(folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run ``make install`` into *folder*, with nothing to be had but what the environment names."""
    alone = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONSTRAINT": ""}
    return subprocess.run(
        ["make", "--no-print-directory", "install", f"VENV={folder}", f"PYTHON={sys.executable}"],
        cwd=ROOT,
        env=os.environ | alone | environment,
        capture_output=True,
        text=True,
        timeout=LONGEST,
    )


def test_an_installation_goes_on_after_the_step_that_failed(tmp_path: Path) -> None:
    folder = tmp_path / "venv"
    failed = install(folder)
    assert failed.returncode != 0
    assert [line for line in failed.stderr.splitlines() if line.startswith("[")] == [
        "[2/5] virtual environment ...",
        next(line for line in failed.stderr.splitlines() if line.startswith("[2/5] virtual environment: done in ")),
        "[3/5] torch ...",
    ]
    assert "ERROR: No matching distribution found for torch==" in failed.stderr
    assert f"All that it said is in {folder}/install.log." in failed.stderr
    assert not (folder / ".installed").exists()

    again = install(folder)
    assert again.returncode != 0
    assert "virtual environment" not in again.stderr
    assert "[3/5] torch ..." in again.stderr

    # Killed while pip was put into it.
    for file in (folder / "lib").glob("python*/site-packages/pip*/__main__.py"):
        file.unlink()
    assert "[2/5] virtual environment: done in " in install(folder).stderr
