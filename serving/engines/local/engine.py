"""The local engine: a model in this process. Photos wait, are read, and join what is being written, between two tokens."""

import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, field
from functools import lru_cache

from serving.engines.base import Event, GenerationChunk, GenerationRequest, GenerationResult, describing, whole
from serving.engines.local.chunked_prefill import ChunkedPrefill
from serving.engines.local.decoder import Decoder
from serving.engines.local.sequence import PrefilledSequences, TokenSequence
from serving.engines.token_budget import PromptTooLongError, fit, no_room
from serving.observability.metrics import PREFILL_TOKENS, STAGE
from serving.settings import TokenLimits
from snap2caption.post import DESCRIBE_PROMPT, Request, build_prompt
from snap2caption.vlm import VisionLanguageModel

_WAIT = 0.05
"""Seconds that a step waits for the thread that reads, where there is nothing to write."""

_REMEMBERED = 256
"""Requests whose prompt is remembered: each is fitted before it is queued and when it is begun."""


@dataclass(slots=True, eq=False)
class _StartedRequest:
    """A task with its prompt and its rows: one a variant, and the description's."""

    task: GenerationRequest
    prompt: str
    voice: tuple[str, ...]
    """What of the voice is in the prompt."""
    read: int
    """Tokens to read: the photo's and the prompt's."""
    variants: list[TokenSequence]
    description: TokenSequence
    at: float = field(default_factory=time.monotonic)
    first_token: float = 0.0

    @property
    def rows(self) -> list[TokenSequence]:
        return [*self.variants, self.description]

    @property
    def done(self) -> bool:
        return all(row.done for row in self.rows)

    @property
    def needed(self) -> int:
        """Tokens that a row may come to hold."""
        return self.read + self.task.max_new_tokens


class _PendingPrefill:
    """Tasks that are read together, here or in a thread beside."""

    def __init__(self, rows: Decoder, tasks: Sequence[_StartedRequest], chunk: int) -> None:
        self.tasks = tasks
        self._rows = rows
        self._chunk = chunk
        self._started = time.monotonic()
        self._prefill: ChunkedPrefill | None = None
        self._future: Future[PrefilledSequences | None] | None = None

    @property
    def unwanted(self) -> bool:
        """Whether nobody waits for any of the tasks."""
        return all(task.done for task in self.tasks)

    def hand_to(self, reader: ThreadPoolExecutor) -> None:
        """Let another thread do it, beside the one that writes."""
        self._future = reader.submit(self._read_beside)

    def step(self, *, wait: bool) -> PrefilledSequences | None:
        """Read the next chunk, or look (or for a moment, *wait*) whether the other thread has read all. Return the rows once all is read."""
        if self._future is None:
            self._rows.take_threads()
            return self._read()
        if wait:
            wait_for([self._future], _WAIT)
        return self._future.result() if self._future.done() else None

    def _read_beside(self) -> PrefilledSequences | None:
        self._rows.take_threads(beside=True)
        joining = None
        while joining is None and not self.unwanted:
            joining = self._read()
        return joining

    def _read(self) -> PrefilledSequences | None:
        if self._prefill is None:
            images = [begun.task.image for begun in self.tasks]
            prompts = [begun.prompt for begun in self.tasks]
            self._prefill = self._rows.prefill(images, prompts, [one.rows for one in self.tasks], chunk=self._chunk)
        joining: PrefilledSequences | None = self._prefill.step()
        if joining:
            PREFILL_TOKENS.observe(joining.tokens / len(self.tasks))
            STAGE.labels("prefill").observe(time.monotonic() - self._started)
        return joining


class LocalEngine:
    """A model in this process. Photos join and leave between two tokens; each is looked at once, for all that is written about it."""

    def __init__(
        self,
        vlm: VisionLanguageModel,
        version: str,
        *,
        max_batch: int | None = None,
        threads: int | None = None,
        limits: TokenLimits | None = None,
    ) -> None:
        """Take the model.

        Args:
            vlm: the model with its adapter.
            version: its name and version.
            max_batch: how many photos are written about at once; others are read, and wait for a place. No limit, if left out.
            threads: how many it may use on the CPU; as many as torch does now, if left out.
            limits: how many tokens it takes on at once; the default ones, if left out.

        Raises:
            UserError: its adapter is of a kind that is not served.
        """
        self.version = version
        self._vlm = vlm
        self._rows = Decoder(vlm, threads)
        self.reads_ahead = self._rows.overlaps
        self._max_batch = max_batch
        self._limits = limits or TokenLimits()
        self._begun: dict[GenerationRequest, _StartedRequest] = {}
        self._refused: list[Event] = []
        self._waiting: deque[_StartedRequest] = deque()
        self._reading: _PendingPrefill | None = None
        self._read: deque[tuple[PrefilledSequences, Sequence[_StartedRequest]]] = deque()
        self._reader = ThreadPoolExecutor(1, "reader")
        self._describing = self._rows.count_prompt(DESCRIBE_PROMPT)
        self._fitted = lru_cache(_REMEMBERED)(self._fit)

    def fit(self, task: GenerationRequest) -> Request:
        """Return what the model is asked for *task*, with as much of the voice as its context and the limits have room for."""
        return self._fitted(task.request, task.image.size, task.max_new_tokens, len(task.decodings) + 1)

    def add(self, tasks: Sequence[GenerationRequest]) -> None:
        """Let *tasks* wait to be read."""
        for task in tasks:
            try:
                request = self.fit(task)
            except PromptTooLongError as error:
                self._refused.append((task, error))
                continue
            prompt = build_prompt(request)
            longest = max(self._rows.count_prompt(prompt), self._describing)
            read = self._vlm.image_tokens(*task.image.size) + longest
            variants = [TokenSequence(decoding) for decoding in task.decodings]
            begun = _StartedRequest(
                task, prompt, request.voice, read, variants, TokenSequence(describing(task), bare=True)
            )
            self._begun[task] = begun
            self._waiting.append(begun)

    def step(self) -> list[Event]:
        """Read on, write a token of each text, and tell how far all are."""
        events, self._refused = self._refused, []
        try:
            self._read_on()
            for task, begun in list(self._begun.items()):
                if task.stream and begun.first_token:
                    events += [
                        (task, GenerationChunk(number, self._rows.text(row)))
                        for number, row in enumerate(begun.variants)
                    ]
                if begun.done:
                    del self._begun[task]
                    events.append((task, self._result(begun)))
            self._rows.step()
        except Exception:
            self._clear()
            raise
        return events

    def drop(self, task: GenerationRequest) -> None:
        """Leave the task's rows at the next step; what is read for nobody else is read no further."""
        begun = self._begun.pop(task, None)
        for row in begun.rows if begun else ():
            row.done = True
        if self._reading and self._reading.unwanted:
            self._reading = None

    def close(self) -> None:
        """Leave all rows. The memory is free when nobody refers to the engine."""
        self._clear()
        self._reader.shutdown(wait=False)

    def _fit(self, request: Request, size: tuple[int, int], max_new_tokens: int, rows: int) -> Request:
        longest = min(self._vlm.context, self._rows.longest(rows, self._limits.cache))
        room = longest - max_new_tokens - self._vlm.image_tokens(*size)
        if self._describing > room:
            raise no_room(room, self._describing)
        return fit(request, self._rows.count_prompt, room=room, voice_room=self._limits.voice)

    def _read_on(self) -> None:
        """Read the next tokens of those that come first, and let those join that are read and have a place."""
        if self._reading is None and self._waiting and (tasks := self._take_waiting()):
            self._reading = _PendingPrefill(self._rows, tasks, self._limits.prefill)
            if self.reads_ahead and len(self._rows):
                self._reading.hand_to(self._reader)
        if self._reading and (joining := self._reading.step(wait=not len(self._rows) and not self._read)):
            self._read.append((joining, self._reading.tasks))
            self._reading = None
        while self._read and self._has_place(len(self._read[0][1])):
            self._merge(*self._read.popleft())

    def _take_waiting(self) -> list[_StartedRequest]:
        """Take those out of the waiting that are to be read together now: as many as one chunk and a batch hold, and as memory is left for."""
        within = self._under_way()
        tasks: list[_StartedRequest] = []
        while self._waiting:
            if self._waiting[0].done:
                self._waiting.popleft()
                continue
            together = [*tasks, self._waiting[0]]
            # All prompts are padded to the longest, and each photo is described beside.
            tokens = 2 * len(together) * max(one.read for one in together)
            held = [*within, *together]
            longest = self._rows.longest(sum(len(one.rows) for one in held), self._limits.cache)
            if tasks and (tokens > self._limits.prefill or len(tasks) == self._max_batch):
                break
            if len(held) > 1 and max(one.needed for one in held) > longest:
                break
            tasks.append(self._waiting.popleft())
        return tasks

    def _under_way(self) -> list[_StartedRequest]:
        """Return those that memory is held for: they are read or written about."""
        waiting = set(self._waiting)
        return [one for one in self._begun.values() if one not in waiting]

    def _has_place(self, photos: int) -> bool:
        writing = sum(one.first_token > 0 for one in self._begun.values())
        return not writing or self._max_batch is None or writing + photos <= self._max_batch

    def _clear(self) -> None:
        # A thread that reads beside stops at its next chunk.
        for begun in self._begun.values():
            for row in begun.rows:
                row.done = True
        self._reading = None
        self._waiting.clear()
        self._read.clear()
        self._rows.clear()
        self._begun.clear()

    def _merge(self, joining: PrefilledSequences, begun: Sequence[_StartedRequest]) -> None:
        self._rows.merge(joining)
        now = time.monotonic()
        for one in begun:
            one.first_token = now - one.at

    def _result(self, begun: _StartedRequest) -> GenerationResult:
        return GenerationResult(
            texts=tuple(whole(self._rows.text(row), cut=row.cut) for row in begun.variants),
            description=self._rows.text(begun.description),
            tokens=sum(self._rows.count(row) for row in begun.rows),
            confidences=tuple(row.confidence for row in begun.variants),
            first_token=begun.first_token,
            voice_shortened=begun.voice != begun.task.request.voice,
        )
