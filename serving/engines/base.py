"""Engine interface: what the batcher needs from a model, in this process or on a remote server."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from snap2caption.post import Request
from snap2caption.text.truncation import without_half_sentence
from snap2caption.vlm import Decoding

if TYPE_CHECKING:
    from PIL.Image import Image


MAX_VARIANTS = 4
"""The most captions that one request may ask for."""

_LAST_HASHTAG = re.compile(r"\s*[#＃]\S*$")


@dataclass(frozen=True, slots=True, eq=False)
class GenerationRequest:
    """One photo to caption: the creator's request, and decoding parameters for each variant.

    Instances compare by identity, so two equal requests stay separate in an engine.
    """

    image: "Image"
    request: Request
    """Each engine builds its own prompt from it, because the model decides how much of a voice fits."""
    decodings: tuple[Decoding, ...]
    stream: bool = False
    """Whether the client wants to see the captions while they are generated."""

    @property
    def max_new_tokens(self) -> int:
        """The token limit of the longest text. It also limits the description."""
        return max(decoding.max_new_tokens for decoding in self.decodings)


@dataclass(frozen=True, slots=True)
class GenerationChunk:
    """The text of one variant so far."""

    variant: int
    text: str


@dataclass(frozen=True, slots=True)
class GenerationResult:
    """The finished output for one photo: one text per variant, and a plain description of the photo."""

    texts: tuple[str, ...]
    description: str
    tokens: int
    confidences: tuple[float, ...] = ()
    """The mean token probability of each text, 0 to 1. Empty if the engine does not report it."""
    first_token: float = 0.0
    """Seconds from adding the request to its first token."""
    unfamiliarity: float | None = None
    """How unlike the model's training pictures the photo is; above 1, it is unfamiliar. None: not known."""
    voice_shortened: bool = False
    """Whether the model's limits cut off part of the requested voice."""


Event = tuple[GenerationRequest, GenerationChunk | GenerationResult | Exception]
"""The outcome of a step for one request: more text, the finished result, or the error that ended it."""


class Engine(Protocol):
    """Captions many photos at once, one token per step. Only one thread at a time may call it, except `fit`."""

    version: str
    """The model's name and version, such as ``snap2caption/3``."""
    token_factor: int
    """How many times the token limit of a caption its model's replies may take."""
    reads_ahead: bool
    """Whether it can prefill more requests than it decodes at once, so that they can join without delay."""

    def fit(self, task: GenerationRequest) -> Request:
        """Return the request that the model will see: *task*'s request with as much of the voice as fits.

        Thread-safe.

        Raises:
            PromptTooLongError: the prompt is too long even without the voice.
        """
        ...

    def add(self, tasks: Sequence[GenerationRequest]) -> None:
        """Start *tasks*; they run together with those in progress. If it raises, none of *tasks* was started.

        Errors that only show during prefill, such as a prompt that is too long, are returned by a later step.
        """
        ...

    def step(self) -> list[Event]:
        """Prefill a bounded number of tokens, decode about one token per text, and return what happened.

        If it raises, the engine has dropped all requests.
        """
        ...

    def drop(self, task: GenerationRequest) -> None:
        """Cancel *task*. It may have finished already, or never have started."""
        ...

    def close(self) -> None:
        """Release all resources. The engine can't be used afterwards."""
        ...


def generate(engine: Engine, tasks: Sequence[GenerationRequest]) -> list[GenerationResult]:
    """Run *tasks* to completion on an otherwise idle *engine*, and return their results in order.

    Raises:
        Exception: the error of the first request that failed.
    """
    engine.add(tasks)
    results: dict[GenerationRequest, GenerationResult] = {}
    while len(results) < len(tasks):
        for task, outcome in engine.step():
            if isinstance(outcome, Exception):
                raise outcome
            if isinstance(outcome, GenerationResult):
                results[task] = outcome
    return [results[task] for task in tasks]


def description_decoding(task: GenerationRequest) -> Decoding:
    """Return the decoding parameters of the description: greedy, with the token limit of the captions."""
    return Decoding(task.max_new_tokens)


def untrained_name(model: str) -> str:
    """Return the version that answers show for the base *model* without an adapter."""
    return f"{model} (untrained)"


def drop_cut_end(text: str, *, cut: bool) -> str:
    """Return a clean reply. If the token limit *cut* it, drop what may be incomplete at its end.

    That is a hashtag or, in a text without hashtags, a sentence that is not the only one.
    """
    if not cut:
        return text
    without_hashtag = _LAST_HASHTAG.sub("", text)
    return without_hashtag if without_hashtag != text else without_half_sentence(text)
