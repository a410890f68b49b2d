"""`transformers serve`, a real OpenAI-compatible server, over a tiny vision-language model of SmolVLM's architecture with
random weights.

It finds the model where the model hub's client keeps what it has downloaded, so it is named as a published one is.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from families import write_smolvlm

from demo.stack.ports import HOST, Ports
from demo.stack.service import Service
from demo.stack.stack import Stack

MODEL = "tiny/smolvlm"

_REVISION = "0" * 40


@dataclass(frozen=True, slots=True)
class TransformersServer:
    """A server that runs: where it answers, and what it has written."""

    url: str
    log: Path


@contextmanager
def transformers_server(folder: Path) -> Iterator[TransformersServer]:
    """Run the server in *folder*."""
    repository = folder / "hub" / f"models--{MODEL.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(_REVISION)
    write_smolvlm(repository / "snapshots" / _REVISION)
    port = Ports(folder / "ports.json").get("transformers")
    program = str(Path(sys.executable).with_name("transformers"))
    serving = Service(
        name="transformers",
        command=(program, "serve", "--host", HOST, "--port", str(port), "--device", "cpu"),
        environment=os.environ | {"HF_HOME": str(folder), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        ready_url=f"http://{HOST}:{port}/health",
        grace=5.0,
    )
    with Stack(folder) as stack:
        stack.start([serving])
        yield TransformersServer(f"http://{HOST}:{port}", folder / "logs" / "transformers.log")
