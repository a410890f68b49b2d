"""Services that are killed with SIGKILL, and started again as their supervisor would."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import forks
import httpx
from patience import LONGEST, until

from demo.stack.service import Service, answers


class Victim:
    """A service that can be killed, with all that it started, and started again."""

    def __init__(self, service: Service, log: Path) -> None:
        self.service = service
        self._log = log
        self._process: forks.Fork | subprocess.Popen[bytes]
        for path, content in service.files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        self.start()

    def start(self) -> None:
        if forks.is_ours(self.service.command):
            self._process = forks.start_command(self.service.command, self.service.environment, self._log)
            return
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self.service.command,
                env=dict(self.service.environment),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        assert self._process.poll() is None, self._log.read_text()[-2000:]
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def end(self) -> None:
        """Kill it, unless the test has done that."""
        if self._process.poll() is None:
            self.kill()

    def wait(self) -> None:
        def ready() -> bool:
            assert self._process.poll() is None, self._log.read_text()[-2000:]
            return answers(self.service, client)

        with httpx.Client(timeout=LONGEST) as client:
            until(ready)


@contextmanager
def running(service: Service, folder: Path) -> Iterator[Victim]:
    victim = Victim(service, folder / f"{service.name}.log")
    try:
        victim.wait()
        yield victim
    finally:
        victim.kill()
