"""Process supervisor, which runs a command and leaves no process of it behind.

Usage: ``python -m demo.stack.supervisor GRACE SIGNAL COMMAND…``.

Standard input is a pipe that the starter holds open. It closes when the starter asks for an end, or dies by any
signal. The supervisor then ends every process that came from the command: it sends SIGNAL to the command itself,
SIGTERM to all that are left, and SIGKILL after that. It adopts orphans (a Linux "child subreaper"), so it also finds
a process that left its parent and its session.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import psutil

_PR_SET_CHILD_SUBREAPER = 36
_ENDED_BY_REQUEST = 143
_SWEEPS = 5


def main() -> int:
    """Run the command in ``argv``, which follows the seconds of grace and the signal's name; return its status."""
    grace, number, command = float(sys.argv[1]), signal.Signals[sys.argv[2]], sys.argv[3:]
    # Databases, logs and stores hold photos and passwords.
    os.umask(0o077)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # A shell starts its background jobs with SIGINT ignored, which children inherit. Ours must react to it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    over, asked = threading.Event(), threading.Event()
    _when_done(child.wait, [over])
    _when_done(_read_to_the_end, [asked, over])
    over.wait()
    if child.poll() is None:
        child.send_signal(number)
        try:
            child.wait(grace / 2)
        except subprocess.TimeoutExpired:
            print("supervisor: it did not end when asked", file=sys.stderr)  # noqa: T201 - into the service's log
    _end_all(grace / 2)
    return _ENDED_BY_REQUEST if asked.is_set() else child.wait()


def _when_done(wait: Callable[[], object], events: list[threading.Event]) -> None:
    def work() -> None:
        wait()
        for event in events:
            event.set()

    threading.Thread(target=work, daemon=True).start()


def _read_to_the_end() -> bytes:
    # Not through sys.stdin: at exit Python would wait for its lock.
    while chunk := os.read(0, 1):
        pass
    return chunk


def _end_all(grace: float) -> None:
    family = psutil.Process().children(recursive=True)
    _signal(family, signal.SIGTERM)
    psutil.wait_procs(family, timeout=grace)
    # More than once: a process may have forked while its parent was being ended.
    for _ in range(_SWEEPS):
        left = psutil.Process().children(recursive=True)
        if not left:
            break
        _signal(left, signal.SIGKILL)
        psutil.wait_procs(left, timeout=1.0)


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue


if __name__ == "__main__":
    sys.exit(main())
