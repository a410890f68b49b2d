"""Latency: time to first token and time per output token of two models, measured in turn on the same photos.

Both write the same number of tokens, so whose captions are longer does not count; what a whole caption takes is in the evaluations. In turn, so
that whatever else the machine does slows both alike. Where the processor computes, its own time is taken, which does not run while other programs
have their turn: on two cores that twenty programs share, seconds by the clock on the wall differ by more than twice from one time to the next.
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
"""Written for each photo: about what a short caption takes."""


class TimedWriter(Protocol):
    """What writes captions, once it has been told to prepare."""

    def prepare(self) -> None:
        """Get ready; this is not timed."""

    def write(self, photo: Any, prompt: str, tokens: int, told: Callable[[], None]) -> None:
        """Write exactly so many tokens about a photo, and call *told* after each."""


Clock = Literal["processor time", "wall time"]
_CLOCKS: dict[Clock, Callable[[], float]] = {"processor time": time.process_time, "wall time": time.perf_counter}


class ModelTimings(BaseModel):
    """Seconds of one model, photo by photo."""

    # A NaN must survive being stored.
    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")

    to_first_token: tuple[float, ...]
    """From the decoded photo and its prompt to the first token: preparing, looking and reading (TTFT)."""
    per_output_token: tuple[float, ...]
    """Between two tokens after that (TPOT)."""


class LatencyComparison(BaseModel):
    """How fast two models write, measured in one process, in one precision, on the same photos. Each step's time is that of its fastest round."""

    model_config = ConfigDict(frozen=True)

    device: str
    clock: Clock
    precision: str
    photos: tuple[str, ...]
    rounds: int
    tokens: int
    """That each wrote for each photo."""
    candidate: ModelTimings
    incumbent: ModelTimings

    def to_first_token(self) -> tuple[float, float]:
        """Return the candidate's and the incumbent's time to first token in seconds: medians over the photos."""
        return statistics.median(self.candidate.to_first_token), statistics.median(self.incumbent.to_first_token)

    def per_output_token(self) -> tuple[float, float]:
        """Return the candidate's and the incumbent's time per output token in seconds: medians over the photos."""
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
    """Let both write `TOKENS` tokens for each of *samples*, one photo at a time and the two in turn, `ROUNDS` times over."""
    now = _CLOCKS[clock]
    pair = (candidate, incumbent)
    tasks = [(decode(sample.photo()), evaluation_prompt(sample)) for sample in samples]
    # Of each token the fastest round counts, since other work on the machine only ever adds.
    fastest = np.full((len(pair), len(tasks), TOKENS), np.inf)
    # The first caption also pays for what is set up once.
    for writer in pair:
        _steps(writer, *tasks[0], now)
    for number in range(ROUNDS):
        for index, task in enumerate(tasks):
            # Each goes first as often as the other, give or take one.
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
    """Return the seconds that each token took, (tokens,); the first one's are those to the first token."""
    writer.prepare()
    moments = [now()]
    writer.write(photo, prompt, TOKENS, lambda: moments.append(now()))
    return np.diff(moments)
