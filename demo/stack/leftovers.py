"""Leftover processes of an earlier demo.

They end by themselves, but it takes them some seconds, and their supervisor may have been killed, too.
"""

import time

import psutil

MARK = "SNAP2CAPTION_STACK"
"""Every process of a stack has this in its environment: the state folder that it works on."""

_PATIENCE = 20.0
_POLL = 0.2


def leftovers(mark: str) -> list[psutil.Process]:
    """Return the processes, other than this one, that carry the mark."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            # It belongs to somebody else, or has ended.
            continue
    return found


def end_leftovers(mark: str) -> None:
    """Wait until no process carries the mark; kill those that take too long."""
    deadline = time.monotonic() + _PATIENCE
    while left := leftovers(mark):
        # Without a supervisor, nothing has asked them to end.
        if time.monotonic() > deadline or not any("demo.stack.supervisor" in _command(process) for process in left):
            for process in left:
                process.kill()
        time.sleep(_POLL)


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
