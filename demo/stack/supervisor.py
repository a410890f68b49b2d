"""``python -m demo.stack.supervisor COMMAND…``: run a command and never leave anything of it behind.

Standard input is a pipe that the starter holds open. When it closes, because the starter asked for an end or died by whatever signal, the
supervisor stops every process that came of the command: SIGTERM first, SIGKILL after a grace. It adopts orphans (a Linux "child subreaper"),
so a daemon that forks away from its parent is found as well.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading

import psutil

_PR_SET_CHILD_SUBREAPER = 36
_SIGTERM_EXIT = 143


def main() -> int:
    """Run the command in ``argv``, first argument the grace in seconds; exit with the command's status."""
    grace, command = float(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # Only the pipe decides: a Ctrl-C in the terminal is the starter's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    asked = threading.Event()
    threading.Thread(target=_watch_starter, args=(asked, child), daemon=True).start()
    status = child.wait()
    _end_all(psutil.Process().children(recursive=True), 0.0 if not asked.is_set() else grace)
    return _SIGTERM_EXIT if asked.is_set() else status


def _watch_starter(asked: threading.Event, child: "subprocess.Popen[bytes]") -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    asked.set()
    grace = float(sys.argv[1])
    family = psutil.Process().children(recursive=True)
    _signal([process for process in family if process.pid == child.pid] or family, signal.SIGTERM)
    # The command's own shutdown first; whoever is left after it is told by `main`, or here when the command does not end.
    try:
        child.wait(grace)
    except subprocess.TimeoutExpired:
        _end_all(psutil.Process().children(recursive=True), 1.0)


def _end_all(processes: list[psutil.Process], grace: float) -> None:
    _signal(processes, signal.SIGTERM)
    _, alive = psutil.wait_procs(processes, timeout=grace)
    # Again from the top: a process may have forked while it was being told to go.
    _signal([*alive, *psutil.Process().children(recursive=True)], signal.SIGKILL)
    psutil.wait_procs(alive, timeout=5)


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue


if __name__ == "__main__":
    sys.exit(main())
