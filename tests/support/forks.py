"""Forks of a server that has loaded our libraries (multiprocessing's forkserver): the command line without the seconds
that it takes to load them, and functions that can be killed.

A process has one such server, and it loads what was named when it started. So this module starts it, while tests are
collected and before `etl.fork_server` starts one without them.
"""

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from unittest import mock

from patience import LONGEST

LOADED = (
    "etl.transform.pipeline",
    "serving.app",
    "serving.engines.local.compiled_step",
    "serving.observability.logs",
    "serving.server",
    "snap2caption.vlm",
    "training.data.samples",
    "training.fit.finetune",
    "training.pipeline",
)
_PR_SET_PDEATHSIG = 1

_context = multiprocessing.get_context("forkserver")
# A fork that is about to be told what to do loads this module, too.
if multiprocessing.current_process().name == "MainProcess":
    _context.set_forkserver_preload(list(LOADED))
    # Without colors, whatever it writes to now: a fork writes to files.
    with mock.patch.dict(os.environ, TERM="dumb"):
        forkserver.ensure_running()


class Fork:
    """A process of our command line; it can be handled as a `subprocess.Popen`."""

    def __init__(self, process: BaseProcess) -> None:
        self._process = process
        assert process.pid is not None
        self.pid = process.pid

    def poll(self) -> int | None:
        """Return the status that it ended with (minus a signal's number), or None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for its end, at most for *timeout* seconds; return its status."""
        self._process.join(timeout)
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)


def is_ours(command: Sequence[str]) -> bool:
    """Whether *command* is our command line under this Python."""
    return tuple(command[:3]) == (sys.executable, "-m", "snap2caption")


def start_command(
    command: Sequence[str], environment: Mapping[str, str], log: Path, *, output: Path | None = None
) -> Fork:
    """Start *command*, which `is_ours`, in a session of its own. It adds what it writes to *log*, or its standard
    output to *output*.
    """
    assert is_ours(command), command
    fork = Fork(start(_run, list(command[3:]), dict(environment), log, output or log))
    while fork.poll() is None and os.getsid(fork.pid) != fork.pid:
        time.sleep(0.001)
    return fork


def run_command(command: Sequence[str], environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run *command*, which `is_ours`, and return its status, its output and its errors."""
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder, "output"), Path(folder, "errors")
        status = start_command(command, environment, errors, output=output).wait(LONGEST)
        assert status is not None, errors.read_text()
        return subprocess.CompletedProcess(command, status, output.read_text(), errors.read_text())


def start(work: Callable[..., object], *arguments: object) -> BaseProcess:
    """Start a process that calls *work*."""
    process = _context.Process(target=work, args=arguments)
    process.start()
    return process


def _run(arguments: list[str], environment: dict[str, str], log: Path, output: Path) -> None:
    os.setsid()
    if sys.platform == "linux":
        # With the server, which ends with the tests.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    for stream, file in ((sys.stdout, output), (sys.stderr, log)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), stream.fileno())
    os.environ.clear()
    os.environ.update(environment)
    if threads := environment.get("OMP_NUM_THREADS"):
        # OpenMP was loaded without it.
        import torch

        torch.set_num_threads(int(threads))
    sys.argv = ["snap2caption", *arguments]
    from snap2caption.__main__ import main

    main()
