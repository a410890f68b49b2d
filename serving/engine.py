"""The engine: what writes captions. A small interface, so that a model in this process can be exchanged for a server elsewhere."""

import re
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from serving.metrics import PREFILL_TOKENS, STAGE
from serving.padded import Padded
from serving.row import Joining, Row
from serving.rows import MakeBatch, Rows
from snap2caption.vlm import Decoding, VisionLanguageModel

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One photo to write about: the prompt, and a way of decoding for each variant. No two tasks are equal."""

    image: "Image"
    prompt: str
    decodings: tuple[Decoding, ...]
    stream: bool = False
    """Whether somebody wants to see how it grows."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What is written of a variant so far."""

    variant: int
    text: str


@dataclass(frozen=True, slots=True)
class Written:
    """What was written about one photo: a text a variant, and the photo described in plain words."""

    texts: tuple[str, ...]
    description: str
    tokens: int
    confidences: tuple[float, ...] = ()
    """The mean probability of each text's tokens, 0 to 1; empty if the engine can't tell."""
    first_token: float = 0.0
    """Seconds from taking the task in to its first token."""


Event = tuple[Task, Piece | Written | Exception]
"""What became of a task at a step: more text, all of it, or why there is none."""


class Engine(Protocol):
    """Writes about photos, many at once, a token a step. It is called from one thread at a time."""

    version: str
    """The model's name and version, such as ``snap2caption/3``."""
    reads_ahead: bool
    """Whether it may be given more tasks than are written about at once, to read their photos meanwhile."""

    def add(self, tasks: Sequence[Task]) -> None:
        """Begin to write about *tasks*, beside those that are written about already. If it raises, none of *tasks* was begun.

        What can be found only while they are read may come to light at a later step.
        """
        ...

    def step(self) -> list[Event]:
        """Write on, by about a token, and return what came of it. If it raises, nothing is written about any longer."""
        ...

    def drop(self, task: Task) -> None:
        """Stop writing about *task*, which nobody waits for. One that is finished, or was never begun, is no fault."""
        ...

    def close(self) -> None:
        """Let go of what the engine holds. It is not used again."""
        ...


def write(engine: Engine, tasks: Sequence[Task]) -> list[Written]:
    """Write about *tasks* alone, to the end. *engine* must not be writing about others."""
    engine.add(tasks)
    written: dict[Task, Written] = {}
    while len(written) < len(tasks):
        for task, what in engine.step():
            if isinstance(what, Exception):
                raise what
            if isinstance(what, Written):
                written[task] = what
    return [written[task] for task in tasks]


@dataclass(slots=True)
class _Begun:
    """A task with its rows: one a variant, and the description's."""

    variants: list[Row]
    description: Row
    at: float = field(default_factory=time.monotonic)
    first_token: float = 0.0

    @property
    def rows(self) -> list[Row]:
        return [*self.variants, self.description]


class LocalEngine:
    """A model in this process. Photos join and leave between two tokens; each is looked at once, for all that is written about it."""

    def __init__(
        self,
        vlm: VisionLanguageModel,
        version: str,
        *,
        max_batch: int | None = None,
        threads: int | None = None,
        batch: MakeBatch = Padded,
    ) -> None:
        """Take the model.

        Args:
            vlm: the model with its adapter.
            version: its name and version.
            max_batch: how many photos are written about at once; others are read, and wait for a place. No limit, if left out.
            threads: how many it may use on the CPU; as many as torch does now, if left out.
            batch: how rows are batched: `serving.padded.Padded`, or `serving.slots.Slots`, of which steps are compiled.

        Raises:
            UserError: its adapter is of a kind that is not served.
        """
        self.version = version
        self._rows = Rows(vlm, threads, batch)
        self.reads_ahead = self._rows.overlaps
        self._max_batch = max_batch
        self._begun: dict[Task, _Begun] = {}
        self._reader = ThreadPoolExecutor(1, "reader")
        self._read: deque[tuple[Future[Joining], list[_Begun]]] = deque()

    def add(self, tasks: Sequence[Task]) -> None:
        """Read photos and prompts, and write the first tokens; while others are written about, if that pays, in a thread beside."""
        begun = {
            task: _Begun([Row(decoding) for decoding in task.decodings], Row(describing(task), bare=True))
            for task in tasks
        }
        if self._begun and self.reads_ahead:
            self._read.append((self._reader.submit(self._read_in, begun, beside=True), list(begun.values())))
        else:
            self._merge(self._read_in(begun), list(begun.values()))
        self._begun |= begun

    def step(self) -> list[Event]:
        """Write a token of each text, and tell how far all are."""
        events: list[Event] = []
        try:
            while self._is_next_due():
                reading, read = self._read.popleft()
                self._merge(reading.result(), read)
            for task, begun in list(self._begun.items()):
                if task.stream and begun.first_token:
                    events += [(task, Piece(number, self._rows.text(row))) for number, row in enumerate(begun.variants)]
                if all(row.done for row in begun.rows):
                    del self._begun[task]
                    events.append((task, self._written(begun)))
            self._rows.step()
        except Exception:
            self._clear()
            raise
        return events

    def drop(self, task: Task) -> None:
        """Leave the task's rows at the next step."""
        begun = self._begun.pop(task, None)
        for row in begun.rows if begun else ():
            row.done = True

    def close(self) -> None:
        """Leave all rows. The memory is free when nobody refers to the engine."""
        self._clear()
        self._reader.shutdown(wait=False)

    def _is_next_due(self) -> bool:
        """Whether those that were read first are to be written about now: there is room, and they are read, or there is nothing else to write."""
        if not self._read:
            return False
        reading, read = self._read[0]
        writing = sum(one.first_token > 0 for one in self._begun.values())
        room = self._max_batch is None or writing + len(read) <= self._max_batch
        return not writing or (room and reading.done())

    def _clear(self) -> None:
        for reading, _ in self._read:
            reading.cancel()
        self._read.clear()
        self._rows.clear()
        self._begun.clear()

    def _read_in(self, begun: dict[Task, _Begun], *, beside: bool = False) -> Joining:
        started = time.monotonic()
        joining: Joining = self._rows.read(
            [task.image for task in begun],
            [task.prompt for task in begun],
            [one.rows for one in begun.values()],
            beside=beside,
        )
        PREFILL_TOKENS.observe(joining.tokens / len(begun))
        STAGE.labels("prefill").observe(time.monotonic() - started)
        return joining

    def _merge(self, joining: Joining, begun: Sequence[_Begun]) -> None:
        self._rows.merge(joining)
        now = time.monotonic()
        for one in begun:
            one.first_token = now - one.at

    def _written(self, begun: _Begun) -> Written:
        return Written(
            texts=tuple(whole(self._rows.text(row), cut=row.cut) for row in begun.variants),
            description=self._rows.text(begun.description),
            tokens=sum(self._rows.count(row) for row in begun.rows),
            confidences=tuple(row.confidence for row in begun.variants),
            first_token=begun.first_token,
        )


def describing(task: Task) -> Decoding:
    """Return how the description is written: greedily, as long as the captions may be."""
    return Decoding(max_new_tokens=max(decoding.max_new_tokens for decoding in task.decodings))


def whole(text: str, *, cut: bool) -> str:
    """Return *text*; if the limit on tokens has *cut* it, without a last hashtag that may be half of one."""
    return re.sub(r"\s*[#＃]\S*$", "", text) if cut else text
