"""Workload and measurement: the messages between the benchmark and the training worker."""

import os
import subprocess
import sys
from typing import Literal

from pydantic import BaseModel

from snap2caption.runtime.openmp import OPENMP
from training.recipes.recipe import Recipe

Engine = Literal["ours", "trl", "trl-default"]
"""Who trains: `training.fit`, TRL's SFTTrainer by the same recipe, or with TRL's own precision and checkpointing."""


class Workload(BaseModel):
    """A base model's shape, how many photos to learn from and to validate on, and the recipe."""

    shape: str
    photos: int
    validation: int
    recipe: Recipe


class TrainingMeasurement(BaseModel):
    """One training: its time from the loaded model to the saved adapter, its peak memory, its loss and its size."""

    seconds: float
    processor_seconds: float
    """CPU seconds of this process on all cores, which is the better measure if others use the machine, too."""
    samples: int
    """How many went through the model in training: photos times epochs."""
    steady_rate: float | None
    """Samples per second between the first and last report of the loss (every fifth step), if there are two."""
    tokens: float
    """Of a sample's sequence, on average, image tokens among them."""
    flops: float
    """What a sample needs, see `flops.py`."""
    peak_bytes: int
    """The process's resident memory at its highest."""
    device_bytes: int | None
    """The GPU memory that torch held at its highest."""
    device: str
    loss: float
    """The mean loss of an answer's token on the validation photos after training, by one function for both."""

    @property
    def rate(self) -> float:
        """Samples per second, from the loaded model to the saved adapter."""
        return self.samples / self.seconds


def measure(engine: Engine, workload: Workload) -> TrainingMeasurement:
    """Train in a process of its own, so that the peak of its memory is its own.

    Raises:
        SystemExit: it failed; what it said is on standard error.
    """
    environment = {
        **os.environ,
        **OPENMP,  # as our command line has it, for all
        "HF_HUB_OFFLINE": "1",
    }
    command = [sys.executable, "-m", "benchmarks.training.worker", engine]
    done = subprocess.run(
        command, input=workload.model_dump_json(), env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"The training by {engine} failed with status {done.returncode}.")
    return TrainingMeasurement.model_validate_json(done.stdout.splitlines()[-1])
