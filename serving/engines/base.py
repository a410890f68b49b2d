"""The engine: what writes captions. A small interface, so that a model in this process can be exchanged for a server elsewhere."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from snap2caption.post import Request
from snap2caption.vlm import Decoding

if TYPE_CHECKING:
    from PIL.Image import Image


MAX_VARIANTS = 4
"""Captions that a request may choose from."""


@dataclass(frozen=True, slots=True, eq=False)
class GenerationRequest:
    """One photo to write about: what is asked for, and a way of decoding for each variant. No two tasks are equal."""

    image: "Image"
    request: Request
    """Each engine makes its own prompt of it: how much of a voice fits depends on the model."""
    decodings: tuple[Decoding, ...]
    stream: bool = False
    """Whether somebody wants to see how it grows."""

    @property
    def max_new_tokens(self) -> int:
        """The tokens of the longest text, of the description too."""
        return max(decoding.max_new_tokens for decoding in self.decodings)


@dataclass(frozen=True, slots=True)
class GenerationChunk:
    """What is written of a variant so far."""

    variant: int
    text: str


@dataclass(frozen=True, slots=True)
class GenerationResult:
    """What was written about one photo: a text a variant, and the photo described in plain words."""

    texts: tuple[str, ...]
    description: str
    tokens: int
    confidences: tuple[float, ...] = ()
    """The mean probability of each text's tokens, 0 to 1; empty if the engine can't tell."""
    first_token: float = 0.0
    """Seconds from taking the task in to its first token."""
    voice_shortened: bool = False
    """Whether the model could not read all of the voice that was asked for."""


Event = tuple[GenerationRequest, GenerationChunk | GenerationResult | Exception]
"""What became of a task at a step: more text, all of it, or why there is none."""


class Engine(Protocol):
    """Writes about photos, many at once, a token a step. It is called from one thread at a time."""

    version: str
    """The model's name and version, such as ``snap2caption/3``."""
    reads_ahead: bool
    """Whether it may be given more tasks than are written about at once, to read their photos meanwhile."""

    def fit(self, task: GenerationRequest) -> Request:
        """Return what the model is asked for *task*: its request, with as much of the voice as it can read. It may be called from any thread.

        Raises:
            PromptTooLongError: the rest is more than the model can read.
        """
        ...

    def add(self, tasks: Sequence[GenerationRequest]) -> None:
        """Begin to write about *tasks*, beside those that are written about already. If it raises, none of *tasks* was begun.

        What can be found only while they are read comes to light at a later step, also that one is too long for this model.
        """
        ...

    def step(self) -> list[Event]:
        """Read on, by a bounded number of tokens, write on, by about a token, and return what came of it.

        If it raises, nothing is written about any longer.
        """
        ...

    def drop(self, task: GenerationRequest) -> None:
        """Stop writing about *task*, which nobody waits for. One that is finished, or was never begun, is no fault."""
        ...

    def close(self) -> None:
        """Let go of what the engine holds. It is not used again."""
        ...


def write(engine: Engine, tasks: Sequence[GenerationRequest]) -> list[GenerationResult]:
    """Write about *tasks* alone, to the end. *engine* must not be writing about others."""
    engine.add(tasks)
    written: dict[GenerationRequest, GenerationResult] = {}
    while len(written) < len(tasks):
        for task, what in engine.step():
            if isinstance(what, Exception):
                raise what
            if isinstance(what, GenerationResult):
                written[task] = what
    return [written[task] for task in tasks]


def describing(task: GenerationRequest) -> Decoding:
    """Return how the description is written: greedily, as long as the captions may be."""
    return Decoding(task.max_new_tokens)


def whole(text: str, *, cut: bool) -> str:
    """Return *text*; if the limit on tokens has *cut* it, without a last hashtag that may be half of one."""
    return re.sub(r"\s*[#＃]\S*$", "", text) if cut else text
