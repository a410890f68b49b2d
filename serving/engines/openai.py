"""Remote engine: any server with OpenAI's chat completions API, with one of its models or with a LoRA adapter (vLLM)."""

import queue
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from serving.engines.base import (
    Event,
    GenerationChunk,
    GenerationRequest,
    GenerationResult,
    description_decoding,
    drop_cut_end,
)
from serving.engines.cancellation import Cancellation
from serving.engines.chat_completions import StreamedText, data_url, request_body
from serving.engines.chat_server import Body, ChatServer
from serving.engines.server_errors import ContextExceededError, EngineUnavailableError
from serving.engines.token_budget import PromptTooLongError, fit, longest_option
from serving.engines.turns import Turns
from serving.prompting.template import PromptTemplate
from snap2caption.post import Request
from snap2caption.registry.adapters import check_weights
from snap2caption.vlm import Decoding

_POLL_SECONDS = 0.05
"""How long a step waits for the next event."""

_BYTES_PER_TOKEN = 2
"""A lower bound of the UTF-8 bytes per token in most scripts. English has about four, Japanese three."""

_IMAGE_SHARE = 0.5
"""The share of the context that is reserved for the image. Each model family counts image tokens differently."""

_CAPTION, _DESCRIPTION = "caption", "description"


@dataclass(slots=True, eq=False)
class _RemoteRequest:
    """The HTTP requests for one photo: one per variant, then the description."""

    futures: list["Future[StreamedText]"]
    cancellation: Cancellation


class RemoteEngine:
    """A model on a server, which does its own batching: the base alone, or with an adapter for captions."""

    def __init__(
        self,
        server: ChatServer,
        model: str,
        *,
        version: str,
        prompts: PromptTemplate,
        concurrent: int,
        context: int,
        voice_tokens: int,
        response_format: Mapping[str, Any] | None = None,
    ) -> None:
        """Use *model* on *server*. No request is sent yet.

        Args:
            server: the server. The engine closes it.
            model: the model's name there.
            version: the model's name and version, as answers show it.
            prompts: the model's prompt template.
            concurrent: the most HTTP requests at once.
            context: the model's context length in tokens.
            voice_tokens: the most tokens of a prompt that the voice may take.
            response_format: what the server has to keep captions to (a JSON schema), if it can.
        """
        self.version = version
        self.token_factor = prompts.token_factor
        self.reads_ahead = False
        self._server = server
        self._model = model
        self._adapter: str | None = None
        self._prompts = prompts
        self._response_format = response_format
        self._context = context
        self._voice_tokens = voice_tokens
        self._turns: Turns | None = None
        self._pool = ThreadPoolExecutor(concurrent, "remote")
        self._running: dict[GenerationRequest, _RemoteRequest] = {}
        self._events: queue.Queue[Event] = queue.Queue()

    def load_adapter(self, name: str, adapter: Path) -> None:
        """Make the server load the adapter in the folder *adapter* as *name*, by vLLM's API, and use it for captions.

        The server must see the folder under the same path.

        Raises:
            UserError: the weights are not safetensors, so the server might unpickle them.
            EngineUnavailableError: the server does not answer, or rejects the adapter.
        """
        check_weights(adapter)
        self._server.post("/load_lora_adapter", {"lora_name": name, "lora_path": str(adapter)})
        self._adapter = name

    def take_turns(self) -> None:
        """From now on, never ask for captions and descriptions at the same time."""
        self._turns = Turns()

    def fit(self, task: GenerationRequest) -> Request:
        """Return the request with as much of its voice as fits, by an estimate: only the server can count tokens.

        A request that does not fit even without a voice is left to the server, which will reject it.
        """
        max_tokens = int((self._context - task.max_new_tokens) * (1 - _IMAGE_SHARE))
        try:
            return fit(task.request, self._estimate_tokens, max_tokens=max_tokens, max_voice_tokens=self._voice_tokens)
        except PromptTooLongError:
            return replace(task.request, voice=())

    def add(self, tasks: Sequence[GenerationRequest]) -> None:
        """Send one HTTP request for every text of *tasks*."""
        for task in tasks:
            image_url = data_url(task.image)
            remote = _RemoteRequest([], Cancellation())
            request = self.fit(task)
            for number, decoding in enumerate(task.decodings):
                variant = number if task.stream else None
                caption = partial(
                    self._request_caption, task, variant, request, image_url, decoding, remote.cancellation
                )
                remote.futures.append(self._pool.submit(caption))
            remote.futures.append(self._pool.submit(self._request_description, task, image_url, remote.cancellation))
            self._running[task] = remote

    def step(self) -> list[Event]:
        """Return what the server has streamed since the last step."""
        events: list[Event] = []
        try:
            events.append(self._events.get(timeout=_POLL_SECONDS))
            while True:
                events.append(self._events.get_nowait())
        except queue.Empty:
            pass
        for task, remote in list(self._running.items()):
            if all(future.done() for future in remote.futures):
                del self._running[task]
                events.append((task, _collect(task, remote, self._prompts)))
        return events

    def drop(self, task: GenerationRequest) -> None:
        """Close the connections for *task*, so that the server stops generating."""
        if remote := self._running.pop(task, None):
            remote.cancellation.cancel()

    def close(self) -> None:
        """Close all connections, and unload the adapter from the server."""
        for remote in self._running.values():
            remote.cancellation.cancel()
        self._pool.shutdown(cancel_futures=True)
        try:
            if self._adapter:
                self._server.post("/unload_lora_adapter", {"lora_name": self._adapter})
        finally:
            self._server.close()

    def _estimate_tokens(self, request: Request) -> int:
        return len(self._prompts.caption(request).encode()) // _BYTES_PER_TOKEN

    def _request_caption(
        self,
        task: GenerationRequest,
        variant: int | None,
        request: Request,
        image_url: str,
        decoding: Decoding,
        cancellation: Cancellation,
    ) -> StreamedText:
        """Return one caption. If the prompt was longer than estimated, retry without the voice."""
        for attempt in dict.fromkeys((request, replace(request, voice=()))):
            prompt = self._prompts.caption(attempt)
            body = request_body(self._adapter or self._model, prompt, image_url, decoding, self._response_format)
            try:
                text = self._complete(_CAPTION, task, variant, body, cancellation)
            except ContextExceededError:
                continue
            text.voice = attempt.voice
            return text
        option = longest_option(request, self._estimate_tokens)
        raise PromptTooLongError(
            "The request is longer than the model's context; "
            + (f"shorten {option}." if option else "send another photo."),
            option,
        )

    def _request_description(self, task: GenerationRequest, image_url: str, cancellation: Cancellation) -> StreamedText:
        prompt, decoding = self._prompts.description(task.request), description_decoding(task)
        body = request_body(self._model, prompt, image_url, decoding)
        try:
            return self._complete(_DESCRIPTION, task, None, body, cancellation)
        except ContextExceededError as error:
            raise PromptTooLongError(
                "The photo takes more tokens than the model's context holds; send another photo."
            ) from error

    def _complete(
        self, kind: str, task: GenerationRequest, variant: int | None, body: Body, cancellation: Cancellation
    ) -> StreamedText:
        """Return the whole text of one completion. If it is a *variant*, its growing text becomes events."""
        text, started = StreamedText(), time.monotonic()
        turn = self._turns.take(kind) if self._turns else nullcontext()
        with turn, closing(self._server.stream(body, cancellation)) as chunks:
            for chunk in chunks:
                text.append(chunk)
                text.first_token = text.first_token or time.monotonic() - started
                if variant is not None:
                    self._events.put((task, GenerationChunk(variant, self._prompts.clean(text.text, finished=False))))
        if text.reasoned and not text.raw.strip():
            raise EngineUnavailableError(
                "The model used all of its tokens to think; whoever runs this service must choose a model that answers "
                "at once, or raise SNAP2CAPTION_SERVING_MAX_NEW_TOKENS."
            )
        return text


def _collect(task: GenerationRequest, remote: _RemoteRequest, prompts: PromptTemplate) -> GenerationResult | Exception:
    failed = next((error for future in remote.futures if (error := future.exception())), None)
    if failed is not None:
        return failed if isinstance(failed, Exception) else EngineUnavailableError(str(failed))
    *texts, description = (future.result() for future in remote.futures)
    confidences = [min(1.0, sum(text.probabilities) / len(text.probabilities)) for text in texts if text.probabilities]
    return GenerationResult(
        texts=tuple(drop_cut_end(prompts.clean(text.text, finished=True), cut=text.cut) for text in texts),
        description=drop_cut_end(prompts.clean_description(description.text), cut=description.cut),
        tokens=sum(text.tokens for text in (*texts, description)),
        confidences=tuple(confidences) if len(confidences) == len(texts) else (),
        first_token=min(text.first_token for text in texts),
        voice_shortened=any(text.voice != task.request.voice for text in texts),
    )
