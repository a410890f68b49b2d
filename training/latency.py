"""How long a caption takes: two models timed in turn, on the same photos, so that whatever else the machine does slows both alike."""

import statistics
import time
from collections.abc import Sequence
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from snap2caption.images import decode
from snap2caption.shards import Sample
from snap2caption.vlm import Decoding
from training.data import evaluation_prompt

ROUNDS = 3


class Writer(Protocol):
    """What writes captions, once it has been told to prepare."""

    def prepare(self) -> None:
        """Get ready; this is not timed."""

    def write(self, photo: Any, prompt: str, decoding: Decoding) -> Any:
        """Caption a photo."""


class Latency(BaseModel):
    """Seconds that a caption took, photo by photo: the fastest of the rounds, since other work on the machine only ever adds."""

    # A NaN must survive being stored.
    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")

    device: str
    photos: tuple[str, ...]
    rounds: int
    candidate: tuple[float, ...]
    incumbent: tuple[float, ...]

    def medians(self) -> tuple[float, float]:
        """Return the candidate's and the incumbent's seconds: medians over the photos."""
        return statistics.median(self.candidate), statistics.median(self.incumbent)


def compare_latency(
    candidate: Writer, incumbent: Writer, samples: Sequence[Sample], max_new_tokens: int, device: str
) -> Latency:
    """Let both write a caption for each of *samples*, one photo at a time and the two in turn, `ROUNDS` times over."""
    decoding = Decoding(max_new_tokens=max_new_tokens)
    pair = (candidate, incumbent)
    tasks = [(decode(sample.photo()), evaluation_prompt(sample)) for sample in samples]
    fastest = [[float("inf")] * len(tasks) for _ in pair]
    # The first caption also pays for what is set up once.
    for writer in pair:
        _seconds(writer, *tasks[0], decoding)
    for number in range(ROUNDS):
        for index, task in enumerate(tasks):
            # Each goes first as often as the other, give or take one.
            first = (number + index) % 2
            for which in (first, 1 - first):
                fastest[which][index] = min(fastest[which][index], _seconds(pair[which], *task, decoding))
    return Latency(
        device=device,
        photos=tuple(sample.id for sample in samples),
        rounds=ROUNDS,
        candidate=tuple(fastest[0]),
        incumbent=tuple(fastest[1]),
    )


def _seconds(writer: Writer, photo: Any, prompt: str, decoding: Decoding) -> float:
    writer.prepare()
    start = time.perf_counter()
    writer.write(photo, prompt, decoding)
    return time.perf_counter() - start
