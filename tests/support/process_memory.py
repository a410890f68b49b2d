"""Memory of a process, as the kernel counts it."""

import re
from pathlib import Path


def memory(pid: int, what: str) -> int:
    """Return bytes of a process's memory: ``VmRSS`` now, ``VmHWM`` at its peak."""
    status = Path(f"/proc/{pid}/status").read_text()
    return 1024 * int(re.search(rf"^{what}:\s+(\d+) kB", status, re.MULTILINE)[1])
