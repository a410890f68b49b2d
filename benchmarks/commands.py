"""Commands of `snap2caption` run as processes of their own: their time, processor time and memory."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class CommandCost:
    """What a command took, and what it printed."""

    seconds: float
    busy: float
    """Seconds of processor time of all its processes, each but for its last twentieth of a second."""
    megabytes: float
    """The resident memory of each of its processes at its highest, added up."""
    output: str


def run_command(*arguments: str, environment: Mapping[str, str] | None = None) -> CommandCost:
    """Run ``snap2caption`` with *arguments*; end this process if it fails."""
    started = time.perf_counter()
    process = psutil.Popen(
        [sys.executable, "-m", "snap2caption", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | (environment or {}),
    )
    most: dict[int, int] = {}
    busy: dict[int, float] = {}
    # The processor time of children alone would leave out those of a fork server, which nobody here waits for.
    while process.poll() is None:
        for member in [process, *process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                spent = member.cpu_times()
                busy[member.pid] = spent.user + spent.system
            # The kernel keeps the highest, so that none is missed between two looks.
            if found := highest(member.pid):
                most[member.pid] = found
        time.sleep(0.05)
    if process.returncode:
        sys.exit(f"snap2caption {arguments[0]} ended with {process.returncode}.")
    seconds = time.perf_counter() - started
    return CommandCost(seconds, sum(busy.values()), sum(most.values()) / 1e6, process.stdout.read())


def highest(process: int) -> int | None:
    """Return the bytes that a process had resident at its highest, or None if it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else None
