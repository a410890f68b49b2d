"""The demo killed by SIGKILL in the middle of its stages, and started again.

`make chaos` kills it at every moment of the list, again and again; within `make test` a sample of it is enough.
"""

import itertools
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import patience
import pytest
from patience import LONGEST, until

from demo.stack.leftovers import leftovers

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(0)]  # `make chaos` runs for as long as its rounds take

MOMENTS = (
    "training: 0/4 tasks, train",
    "etl: 2/5 tasks, transform.slice",
    "corpus …",
    "training: 1/4 tasks, gate",
    "etl: 3/5 tasks, transform.merge",
    "etl: 0/5 tasks, extract",
    "services …",
    "training: 3/4 tasks, promote",
    "etl: 1/5 tasks, transform.plan",
    "etl: 4/5 tasks, load",
    "serving …",
    "caption …",
)
"""What the demo says it is at when it is killed."""

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "1"))
PAIRS = 600
TIMEOUT = 3600.0
"""Seconds that a demo may take on a machine that is busy."""


class DemoProcess:
    """The demo as a command. What it says is kept, and watched for a moment to kill it at."""

    def __init__(self, state: Path, moment: str | None) -> None:
        command = [sys.executable, "-m", "snap2caption", "demo", "--once", "--pairs", str(PAIRS), "--state", str(state)]
        self.said: list[str] = []
        self.moment = moment
        self.killed = False
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()

    def _listen(self) -> None:
        assert self.process.stderr
        with self.process.stderr as lines:
            for line in lines:
                self.said.append(line.rstrip())
                if self.moment is not None and line.startswith(self.moment) and not self.killed:
                    self.killed = True
                    self.process.send_signal(signal.SIGKILL)

    def wait(self) -> int:
        status = self.process.wait(TIMEOUT)
        self.listener.join(LONGEST)
        return status


def wait_until_gone(state: Path) -> None:
    until(lambda: not leftovers(str(state)), lambda: [process.cmdline() for process in leftovers(str(state))])


def versions(state: Path) -> list[dict[str, str]]:
    """Return all registered versions, by asking MLflow's own database through a server of its own."""
    from demo.stack.ports import Ports
    from demo.stack.services.mlflow import mlflow
    from demo.stack.stack import Stack

    service, uri = mlflow(state, Ports(state / "ports.json"))
    with Stack(state) as stack:
        stack.start([service])
        answer = patience.get(f"{uri}/api/2.0/mlflow/model-versions/search")
        answer.raise_for_status()
        return list(answer.json().get("model_versions", []))


def test_killed_at_any_stage_and_started_again_it_completes(tmp_path: Path) -> None:
    state = tmp_path / "state"
    killed = 0
    for moment in itertools.islice(itertools.cycle(MOMENTS), ROUNDS):
        run = DemoProcess(state, moment)
        status = run.wait()
        wait_until_gone(state)
        assert run.killed or status == 0, "\n".join(run.said)
        killed += run.killed
    assert killed >= min(ROUNDS, len(MOMENTS)) / 2

    run = DemoProcess(state, None)
    assert run.wait() == 0, "\n".join(run.said)
    wait_until_gone(state)
    # One model, promoted by one decision.
    registered = sorted((version["name"], version["version"]) for version in versions(state))
    assert registered == [("snap2caption", "1"), ("snap2caption-champions", "1")]
    datasets = {path.name for path in (state / "work").iterdir() if path.is_dir() and not path.name.startswith(".")}
    assert len(datasets) == 1
    assert not list((state / "work").glob(".work-*"))
    assert (state / "demo" / "captioned-photo.png").exists()
