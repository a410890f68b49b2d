"""The engine: what writes captions. A small interface, so that a model in this process can be exchanged for a server elsewhere."""

import re
import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from snap2caption.post import DESCRIBE_PROMPT
from snap2caption.vlm import Decoding, Generated, VisionLanguageModel

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class Task:
    """One photo to write about: the prompt, and a way of decoding for each variant."""

    image: "Image"
    prompt: str
    decodings: tuple[Decoding, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """What was written about one photo: a text a variant, and the photo described in plain words."""

    texts: tuple[str, ...]
    description: str
    tokens: int


class Engine(Protocol):
    """Writes about batches of photos. It is called from one thread at a time."""

    version: str
    """The model's name and version, such as ``snap2caption/3``."""

    def write(self, tasks: Sequence[Task]) -> list[Written]:
        """Write about some photos, as one batch."""
        ...


class LocalEngine:
    """A model in this process."""

    def __init__(self, vlm: VisionLanguageModel, version: str) -> None:
        self.version = version
        self._vlm = vlm
        # The probe of a new model and the batches of the old one never meet, but a lock costs nothing.
        self._lock = threading.Lock()

    def write(self, tasks: Sequence[Task]) -> list[Written]:
        """Write: rows with the same decoding together, then the descriptions, by the base without its adapter."""
        rows: dict[tuple[Decoding, int | None], list[tuple[int, int]]] = defaultdict(list)
        for number, task in enumerate(tasks):
            for variant, decoding in enumerate(task.decodings):
                # One stream of random numbers serves a whole batch: with company, a seed would not give the same caption again.
                alone = number if decoding.temperature > 0 else None
                rows[decoding, alone].append((number, variant))
        texts: dict[tuple[int, int], str] = {}
        tokens = [0] * len(tasks)
        with self._lock:
            for (decoding, _), places in rows.items():
                images = [tasks[number].image for number, _ in places]
                answers = self._vlm.generate(images, [tasks[number].prompt for number, _ in places], decoding)
                for (number, variant), answer in zip(places, answers, strict=True):
                    texts[number, variant] = _whole(answer, decoding)
                    tokens[number] += answer.tokens
            descriptions = self._vlm.generate(
                [task.image for task in tasks],
                [DESCRIBE_PROMPT] * len(tasks),
                Decoding(max_new_tokens=max(decoding.max_new_tokens for decoding, _ in rows)),
                without_adapter=True,
            )
        return [
            Written(
                texts=tuple(texts[number, variant] for variant in range(len(task.decodings))),
                description=descriptions[number].text,
                tokens=tokens[number] + descriptions[number].tokens,
            )
            for number, task in enumerate(tasks)
        ]


def _whole(answer: Generated, decoding: Decoding) -> str:
    """Return the answer's text without a last hashtag that the limit on tokens may have cut in two."""
    if answer.tokens < decoding.max_new_tokens:
        return answer.text
    return re.sub(r"\s*[#＃]\S*$", "", answer.text)
