"""Latency comparison: time to first token and time per output token of two models on the same photos.

Both models generate the same number of tokens, so the length of their captions does not matter; the time of whole
captions is in the evaluations. They are measured alternately, so that other load on the machine slows both alike.
On a CPU, process time is measured, which stops while other programs run: on two cores that twenty programs share,
wall time differs by more than a factor of two from one measurement to the next.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from snap2caption.datasets.shards import Sample
from snap2caption.images import decode
from training.data.samples import evaluation_prompt

ROUNDS = 3
TOKENS = 32
"""Number of tokens generated per photo, about the length of a short caption."""


class TimedWriter(Protocol):
    """Interface of a model to be timed."""

    def prepare(self) -> None:
        """Get ready to generate; this is not timed."""

    def write(self, photo: Any, prompt: str, tokens: int, on_token: Callable[[], None]) -> None:
        """Generate exactly *tokens* tokens for a photo, and call *on_token* after each."""


Clock = Literal["processor time", "wall time"]
_CLOCKS: dict[Clock, Callable[[], float]] = {"processor time": time.process_time, "wall time": time.perf_counter}


class ModelTimings(BaseModel):
    """Timings of one model in seconds, one value per photo."""

    # A NaN must survive being stored.
    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")

    to_first_token: tuple[float, ...]
    """From the decoded photo and its prompt to the first token: preprocessing, vision tower and prefill (TTFT)."""
    per_output_token: tuple[float, ...]
    """Mean time between two tokens after the first (TPOT)."""


class LatencyComparison(BaseModel):
    """Timings of two models, measured in one process and one precision on the same photos.

    The time of each token is that of its fastest round.
    """

    model_config = ConfigDict(frozen=True)

    device: str
    clock: Clock
    precision: str
    photos: tuple[str, ...]
    rounds: int
    tokens: int
    """Number of tokens that each model generated per photo."""
    candidate: ModelTimings
    incumbent: ModelTimings

    def to_first_token(self) -> tuple[float, float]:
        """Return the time to first token in seconds, candidate's and incumbent's: medians over the photos."""
        return statistics.median(self.candidate.to_first_token), statistics.median(self.incumbent.to_first_token)

    def per_output_token(self) -> tuple[float, float]:
        """Return the time per output token in seconds, candidate's and incumbent's: medians over the photos."""
        return statistics.median(self.candidate.per_output_token), statistics.median(self.incumbent.per_output_token)


def compare_latency(
    candidate: TimedWriter,
    incumbent: TimedWriter,
    samples: Sequence[Sample],
    *,
    device: str,
    precision: str,
    clock: Clock,
) -> LatencyComparison:
    """Time both models alternately on each of *samples*, one photo at a time, in `ROUNDS` rounds of `TOKENS` tokens."""
    now = _CLOCKS[clock]
    pair = (candidate, incumbent)
    tasks = [(decode(sample.photo()), evaluation_prompt(sample)) for sample in samples]
    # Keep the fastest round of each token, because other load on the machine only ever adds time.
    fastest = np.full((len(pair), len(tasks), TOKENS), np.inf)
    # Warm-up: the first caption also pays for one-time set-up.
    for writer in pair:
        _steps(writer, *tasks[0], now)
    for number in range(ROUNDS):
        for index, task in enumerate(tasks):
            # Alternate which model goes first.
            first = (number + index) % 2
            for which in (first, 1 - first):
                fastest[which, index] = np.minimum(fastest[which, index], _steps(pair[which], *task, now))
    timings = [
        ModelTimings(to_first_token=tuple(steps[:, 0]), per_output_token=tuple(steps[:, 1:].mean(axis=1)))
        for steps in fastest
    ]
    return LatencyComparison(
        device=device,
        clock=clock,
        precision=precision,
        photos=tuple(sample.id for sample in samples),
        rounds=ROUNDS,
        tokens=TOKENS,
        candidate=timings[0],
        incumbent=timings[1],
    )


def _steps(writer: TimedWriter, photo: Any, prompt: str, now: Callable[[], float]) -> NDArray[np.float64]:
    """Return the seconds that each token took, shape (tokens,); the first value is the time to first token."""
    writer.prepare()
    moments = [now()]
    writer.write(photo, prompt, TOKENS, lambda: moments.append(now()))
    return np.diff(moments)
