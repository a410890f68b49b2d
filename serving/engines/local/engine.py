"""Local engine: continuous batching of photos over a model in this process."""

import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, field
from functools import lru_cache

from serving.engines.base import (
    Event,
    GenerationChunk,
    GenerationRequest,
    GenerationResult,
    description_decoding,
    drop_cut_end,
)
from serving.engines.local.chunked_prefill import ChunkedPrefill
from serving.engines.local.decoder import Decoder
from serving.engines.local.sequence import PrefilledSequences, TokenSequence
from serving.engines.local.text_model import TextWeights
from serving.engines.token_budget import PromptTooLongError, fit, prompt_too_long
from serving.observability.metrics import PREFILL_TOKENS, STAGE
from serving.prompting.template import PromptTemplate
from serving.settings import TokenLimits
from snap2caption.post import Request
from snap2caption.vlm import VisionLanguageModel
from snap2caption.vlm.out_of_distribution import FeatureReference

_POLL_SECONDS = 0.05
"""How long a step waits for the prefill thread when there is nothing to decode."""

_AMPLE_CONTEXT = 2048
"""The context, in tokens, from which replies may be longer than a caption. In a smaller one, the prompt needs the room."""

_FIT_CACHE = 256
"""The number of fitted requests to cache: each request is fitted once before it is queued and once when it starts."""


@dataclass(slots=True, eq=False)
class _StartedRequest:
    """A request with its prompt and its sequences: one per variant, and one for the description."""

    task: GenerationRequest
    prompt: str
    description_prompt: str
    voice: tuple[str, ...]
    """The captions of the voice that are in the prompt."""
    prompt_tokens: int
    """The number of tokens to prefill: the photo's and the prompt's."""
    variants: list[TokenSequence]
    description: TokenSequence
    added: float = field(default_factory=time.monotonic)
    unfamiliarity: float | None = None
    """The photo's out-of-distribution score, once it was encoded; None without a reference."""
    first_token: float = 0.0
    """Seconds from `added` to the first token; 0 before that."""

    @property
    def sequences(self) -> list[TokenSequence]:
        return [*self.variants, self.description]

    @property
    def done(self) -> bool:
        return all(sequence.done for sequence in self.sequences)

    @property
    def max_tokens(self) -> int:
        """The most tokens that one of its sequences may hold."""
        return self.prompt_tokens + self.task.max_new_tokens


class _PendingPrefill:
    """Requests that are prefilled together, in the decoding thread or in a second one."""

    def __init__(self, decoder: Decoder, requests: Sequence[_StartedRequest], chunk: int) -> None:
        self.requests = requests
        self._decoder = decoder
        self._chunk = chunk
        self._started = time.monotonic()
        self._prefill: ChunkedPrefill | None = None
        self._future: Future[PrefilledSequences | None] | None = None

    @property
    def canceled(self) -> bool:
        """Whether all requests were dropped."""
        return all(request.done for request in self.requests)

    def run_in(self, executor: ThreadPoolExecutor) -> None:
        """Run the whole prefill in another thread, while this one decodes."""
        self._future = executor.submit(self._run_overlapped)

    def step(self, *, wait: bool) -> PrefilledSequences | None:
        """Return the sequences once all is read, until then None.

        Without another thread, this reads the next chunk. Otherwise it checks the other thread or, with *wait*, waits
        a moment for it.
        """
        if self._future is None:
            self._decoder.use_prefill_threads()
            return self._read_chunk()
        if wait:
            wait_for([self._future], _POLL_SECONDS)
        return self._future.result() if self._future.done() else None

    def _run_overlapped(self) -> PrefilledSequences | None:
        self._decoder.use_prefill_threads(overlapped=True)
        prefilled = None
        while prefilled is None and not self.canceled:
            prefilled = self._read_chunk()
        return prefilled

    def _read_chunk(self) -> PrefilledSequences | None:
        if self._prefill is None:
            images = [request.task.image for request in self.requests]
            prompts = [request.prompt for request in self.requests]
            descriptions = [request.description_prompt for request in self.requests]
            sequences = [request.sequences for request in self.requests]
            self._prefill = self._decoder.prefill(images, prompts, descriptions, sequences, chunk=self._chunk)
            for request, score in zip(self.requests, self._prefill.unfamiliarity, strict=False):
                request.unfamiliarity = score
        prefilled: PrefilledSequences | None = self._prefill.step()
        if prefilled:
            PREFILL_TOKENS.observe(prefilled.tokens / len(self.requests))
            STAGE.labels("prefill").observe(time.monotonic() - self._started)
        return prefilled


class LocalEngine:
    """A model in this process, with continuous batching.

    Photos join and leave between two tokens. Each photo is encoded once, for all texts that are generated from it.
    """

    def __init__(
        self,
        vlm: VisionLanguageModel,
        version: str,
        prompts: PromptTemplate,
        *,
        max_batch: int | None = None,
        threads: int | None = None,
        limits: TokenLimits | None = None,
        reference: FeatureReference | None = None,
        weights: TextWeights | None = None,
        compiled: bool = True,
    ) -> None:
        """Wrap a model.

        Args:
            vlm: the model with its adapter.
            version: its name and version.
            prompts: its prompt template.
            max_batch: the most photos to decode at once (default: no limit). Further photos are prefilled and wait.
            threads: the number of CPU threads (default: torch's current number).
            limits: the limits on tokens in the engine.
            reference: the features of the training pictures, which photos are compared with.
            weights: the packed weights of its text model (default: its own, packed now).
            compiled: whether to compile decoding steps, if this model has such.

        Raises:
            UserError: the adapter is of a kind that can't be served.
        """
        self.version = version
        self._vlm = vlm
        self._prompts = prompts
        self.token_factor = prompts.token_factor if vlm.context >= _AMPLE_CONTEXT else 1
        self._decoder = Decoder(vlm, threads, reference, weights, compiled=compiled)
        self.reads_ahead = self._decoder.overlaps_prefill
        self._max_batch = max_batch
        self._limits = limits or TokenLimits()
        self._started: dict[GenerationRequest, _StartedRequest] = {}
        self._rejected: list[Event] = []
        self._waiting: deque[_StartedRequest] = deque()
        self._prefill: _PendingPrefill | None = None
        self._prefilled: deque[tuple[PrefilledSequences, Sequence[_StartedRequest]]] = deque()
        self._prefill_thread = ThreadPoolExecutor(1, "prefill")
        self._cached_fit = lru_cache(_FIT_CACHE)(self._fit)

    def fit(self, task: GenerationRequest) -> Request:
        """Return the request with as much of its voice as the model's context and the limits allow.

        Raises:
            PromptTooLongError: the prompt is too long even without the voice.
        """
        return self._cached_fit(task.request, task.image.size, task.max_new_tokens, len(task.decodings) + 1)

    def add(self, tasks: Sequence[GenerationRequest]) -> None:
        """Queue *tasks* for prefill."""
        for task in tasks:
            try:
                request = self.fit(task)
            except PromptTooLongError as error:
                self._rejected.append((task, error))
                continue
            prompt, description_prompt = self._prompts.caption(request), self._prompts.description(request)
            longest = max(map(self._decoder.count_prompt_tokens, (prompt, description_prompt)))
            prompt_tokens = self._vlm.image_tokens(*task.image.size) + longest
            variants = [TokenSequence(decoding) for decoding in task.decodings]
            description = TokenSequence(description_decoding(task), base_only=True)
            started = _StartedRequest(
                task, prompt, description_prompt, request.voice, prompt_tokens, variants, description
            )
            self._started[task] = started
            self._waiting.append(started)

    def step(self) -> list[Event]:
        """Advance the prefill, decode one token of each text, and return the progress of all requests."""
        events, self._rejected = self._rejected, []
        try:
            self._advance_prefill()
            for task, started in list(self._started.items()):
                if task.stream and started.first_token:
                    events += [
                        (
                            task,
                            GenerationChunk(number, self._prompts.clean(self._decoder.text(sequence), finished=False)),
                        )
                        for number, sequence in enumerate(started.variants)
                    ]
                if started.done:
                    del self._started[task]
                    events.append((task, self._result(started)))
            self._decoder.step()
        except Exception:
            self._clear()
            raise
        return events

    def drop(self, task: GenerationRequest) -> None:
        """Cancel the request: its sequences leave at the next step. A prefill stops if all its requests are dropped."""
        started = self._started.pop(task, None)
        for sequence in started.sequences if started else ():
            sequence.done = True
        if self._prefill and self._prefill.canceled:
            self._prefill = None

    def close(self) -> None:
        """Drop all requests. The memory is freed when nothing refers to the engine any more."""
        self._clear()
        self._prefill_thread.shutdown(wait=False)

    def _fit(self, request: Request, size: tuple[int, int], max_new_tokens: int, sequences: int) -> Request:
        # All rows of the KV cache are as long as the longest.
        limit = min(self._vlm.context, self._limits.cache // sequences)
        max_tokens = limit - max_new_tokens - self._vlm.image_tokens(*size)
        description_tokens = self._decoder.count_prompt_tokens(self._prompts.description(request))
        if description_tokens > max_tokens:
            raise prompt_too_long(max_tokens, description_tokens)
        return fit(
            request,
            lambda tried: self._decoder.count_prompt_tokens(self._prompts.caption(tried)),
            max_tokens=max_tokens,
            max_voice_tokens=self._limits.voice,
        )

    def _advance_prefill(self) -> None:
        """Prefill the next tokens of the first waiting requests, and merge prefilled requests that have a place."""
        if self._prefill is None and self._waiting and (requests := self._next_prefill_group()):
            self._prefill = _PendingPrefill(self._decoder, requests, self._limits.prefill)
            if self.reads_ahead and len(self._decoder):
                self._prefill.run_in(self._prefill_thread)
        idle = not len(self._decoder) and not self._prefilled
        if self._prefill and (prefilled := self._prefill.step(wait=idle)):
            self._prefilled.append((prefilled, self._prefill.requests))
            self._prefill = None
        while self._prefilled and self._has_place(len(self._prefilled[0][1])):
            self._merge(*self._prefilled.popleft())

    def _next_prefill_group(self) -> list[_StartedRequest]:
        """Remove and return the waiting requests to prefill together now.

        The group fits into one chunk, one batch and the memory that is left.
        """
        in_memory = self._holding_memory()
        group: list[_StartedRequest] = []
        while self._waiting:
            if self._waiting[0].done:
                self._waiting.popleft()
                continue
            extended = [*group, self._waiting[0]]
            # All prompts are padded to the longest, and each photo has a second row for its description.
            tokens = 2 * len(extended) * max(request.prompt_tokens for request in extended)
            held = [*in_memory, *extended]
            sequences = sum(len(request.sequences) for request in held)
            limit = self._limits.cache // sequences
            if group and (tokens > self._limits.prefill or len(group) == self._max_batch):
                break
            if len(held) > 1 and max(request.max_tokens for request in held) > limit:
                break
            group.append(self._waiting.popleft())
        return group

    def _holding_memory(self) -> list[_StartedRequest]:
        """Return the requests that hold memory: those in prefill or decoding."""
        waiting = set(self._waiting)
        return [request for request in self._started.values() if request not in waiting]

    def _has_place(self, photos: int) -> bool:
        decoding = sum(request.first_token > 0 for request in self._started.values())
        return not decoding or self._max_batch is None or decoding + photos <= self._max_batch

    def _clear(self) -> None:
        # The prefill thread stops after its current chunk.
        for request in self._started.values():
            for sequence in request.sequences:
                sequence.done = True
        self._prefill = None
        self._waiting.clear()
        self._prefilled.clear()
        self._decoder.clear()
        self._started.clear()

    def _merge(self, prefilled: PrefilledSequences, requests: Sequence[_StartedRequest]) -> None:
        self._decoder.merge(prefilled)
        now = time.monotonic()
        for request in requests:
            request.first_token = now - request.added

    def _result(self, started: _StartedRequest) -> GenerationResult:
        return GenerationResult(
            texts=tuple(
                drop_cut_end(self._prompts.clean(self._decoder.text(one), finished=True), cut=one.cut)
                for one in started.variants
            ),
            description=drop_cut_end(
                self._prompts.clean_description(self._decoder.text(started.description)), cut=started.description.cut
            ),
            tokens=sum(self._decoder.count_tokens(sequence) for sequence in started.sequences),
            confidences=tuple(sequence.confidence for sequence in started.variants),
            first_token=started.first_token,
            unfamiliarity=started.unfamiliarity,
            voice_shortened=started.voice != started.task.request.voice,
        )
