"""Remote engine: any server with OpenAI's chat completions API, such as vLLM with LoRA adapters."""

import json
import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import httpx

from serving.engines.base import (
    Event,
    GenerationChunk,
    GenerationRequest,
    GenerationResult,
    description_decoding,
    drop_cut_hashtag,
)
from serving.engines.chat_completions import (
    MIN_P,
    ContextExceededError,
    StreamedText,
    check_length,
    data_url,
    request_body,
)
from serving.engines.token_budget import PromptTooLongError, fit, longest_option
from serving.prompting.template import PromptTemplate
from snap2caption.errors import UserError
from snap2caption.post import Request
from snap2caption.registry.adapters import check_weights
from snap2caption.vlm import Decoding

_POLL_SECONDS = 0.05
"""How long a step waits for the next event."""

_BYTES_PER_TOKEN = 2
"""A lower bound of the UTF-8 bytes per token in most scripts. English has about four, Japanese three."""

_IMAGE_SHARE = 0.5
"""The share of the context that is reserved for the image. Each model family counts image tokens differently."""


class EngineUnavailableError(UserError):
    """The model server does not answer, or rejects the request."""


@dataclass(slots=True, eq=False)
class _RemoteRequest:
    """The HTTP requests for one photo: one per variant, then the description."""

    futures: list["Future[StreamedText]"]
    canceled: threading.Event


class RemoteEngine:
    """A server that holds the base model and the adapter. It does its own batching.

    It uses ``httpx`` and not OpenAI's client: there is only one kind of request, and we want control over its errors
    and timeouts.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        version: str,
        name: str,
        base: str,
        prompts: PromptTemplate,
        timeout: float,
        concurrent: int,
        context: int,
        voice_tokens: int,
    ) -> None:
        """Connect to a server. No request is sent yet.

        Args:
            url: the server's base URL.
            key: the bearer token, or an empty string for none.
            version: the model's name and version, as answers show it.
            name: the adapter's name on the server.
            base: the base model's name on the server.
            prompts: the model's prompt template.
            timeout: seconds that one text may take.
            concurrent: the most HTTP requests at once.
            context: the context length in tokens, used if the server does not report it.
            voice_tokens: the most tokens of a prompt that the voice may take.
        """
        self.version = version
        self.reads_ahead = False
        self._name = name
        self._base = base
        self._prompts = prompts
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=httpx.Timeout(timeout, connect=5))
        self._timeout = timeout
        self._context = context
        self._voice_tokens = voice_tokens
        self._pool = ThreadPoolExecutor(concurrent, "remote")
        self._running: dict[GenerationRequest, _RemoteRequest] = {}
        self._events: queue.Queue[Event] = queue.Queue()

    def load(self, adapter: Path) -> None:
        """Make the server load the adapter in the folder *adapter*, by vLLM's API.

        The server must see the folder under the same path.

        Raises:
            UserError: the weights are not safetensors, so the server might unpickle them.
            EngineUnavailableError: the server does not answer, or rejects the adapter.
        """
        check_weights(adapter)
        self._post("/v1/load_lora_adapter", {"lora_name": self._name, "lora_path": str(adapter)})
        self._context = self._find_context() or self._context

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
            remote = _RemoteRequest([], threading.Event())
            request = self.fit(task)
            for number, decoding in enumerate(task.decodings):
                variant = number if task.stream else None
                caption = partial(self._request_caption, task, variant, request, image_url, decoding, remote.canceled)
                remote.futures.append(self._pool.submit(caption))
            remote.futures.append(self._pool.submit(self._request_description, task, image_url, remote.canceled))
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
            remote.canceled.set()

    def close(self) -> None:
        """Close all connections, and unload the adapter from the server."""
        for remote in self._running.values():
            remote.canceled.set()
        self._pool.shutdown(cancel_futures=True)
        try:
            self._post("/v1/unload_lora_adapter", {"lora_name": self._name})
        finally:
            self._client.close()

    def _estimate_tokens(self, request: Request) -> int:
        return len(self._prompts.caption(request).encode()) // _BYTES_PER_TOKEN

    def _find_context(self) -> int | None:
        """Return the context length that the server reports for its base model, or None."""
        try:
            models = self._client.get("/v1/models").raise_for_status().json()["data"]
            return next((int(model["max_model_len"]) for model in models if model["id"] == self._base), None)
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return None

    def _post(self, path: str, body: dict[str, object]) -> None:
        try:
            response = self._client.post(path, json=body)
        except httpx.HTTPError as error:
            raise _unavailable(error) from error
        if not response.is_success:
            raise _rejected(response)

    def _request_caption(
        self,
        task: GenerationRequest,
        variant: int | None,
        request: Request,
        image_url: str,
        decoding: Decoding,
        canceled: threading.Event,
    ) -> StreamedText:
        """Return one caption. If the prompt was longer than estimated, retry without the voice."""
        for attempt in dict.fromkeys((request, replace(request, voice=()))):
            body = request_body(self._name, self._prompts.caption(attempt), image_url, decoding)
            try:
                text = self._stream_completion(task, variant, body, canceled)
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

    def _request_description(self, task: GenerationRequest, image_url: str, canceled: threading.Event) -> StreamedText:
        body = request_body(self._base, self._prompts.description(task.request), image_url, description_decoding(task))
        try:
            return self._stream_completion(task, None, body, canceled)
        except ContextExceededError as error:
            raise PromptTooLongError(
                "The photo takes more tokens than the model's context holds; send another photo."
            ) from error

    def _stream_completion(
        self, task: GenerationRequest, variant: int | None, body: dict[str, object], canceled: threading.Event
    ) -> StreamedText:
        text, started = StreamedText(), time.monotonic()
        try:
            with self._client.stream("POST", "/v1/chat/completions", json=body) as response:
                if not response.is_success:
                    refusal = response.read()
                    check_length(refusal)
                    if MIN_P in body and MIN_P.encode() in refusal:
                        # OpenAI's own API does not have it.
                        without = {name: value for name, value in body.items() if name != MIN_P}
                        return self._stream_completion(task, variant, without, canceled)
                    raise _rejected(response)
                for line in response.iter_lines():
                    # The client's timeout applies between two chunks; this one limits the whole text.
                    if canceled.is_set() or time.monotonic() - started > self._timeout:
                        break
                    if not line.startswith("data: ") or line == "data: [DONE]":
                        continue
                    chunk = json.loads(line.removeprefix("data: "))
                    if "error" in chunk:
                        # Some servers report an error after they have started to stream.
                        check_length(line.encode())
                    text.append(chunk)
                    text.first_token = text.first_token or time.monotonic() - started
                    if variant is not None:
                        shown = self._prompts.clean(text.text, finished=False)
                        self._events.put((task, GenerationChunk(variant, shown)))
                else:
                    return text
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise _unavailable(error) from error
        raise EngineUnavailableError(f"The model server took longer than {self._timeout:.0f} s; try again.")


def _unavailable(error: Exception) -> EngineUnavailableError:
    return EngineUnavailableError(f"The model server does not answer correctly ({type(error).__name__}); try again.")


def _rejected(response: httpx.Response) -> EngineUnavailableError:
    return EngineUnavailableError(f"The model server responded with status {response.status_code}; see its log.")


def _collect(task: GenerationRequest, remote: _RemoteRequest, prompts: PromptTemplate) -> GenerationResult | Exception:
    failed = next((error for future in remote.futures if (error := future.exception())), None)
    if failed is not None:
        return failed if isinstance(failed, Exception) else EngineUnavailableError(str(failed))
    *texts, description = (future.result() for future in remote.futures)
    confidences = [min(1.0, sum(text.probabilities) / len(text.probabilities)) for text in texts if text.probabilities]
    return GenerationResult(
        texts=tuple(prompts.clean(drop_cut_hashtag(text.text, cut=text.cut), finished=True) for text in texts),
        description=prompts.clean_description(description.text),
        tokens=sum(text.tokens for text in (*texts, description)),
        confidences=tuple(confidences) if len(confidences) == len(texts) else (),
        first_token=min(text.first_token for text in texts),
        voice_shortened=any(text.voice != task.request.voice for text in texts),
    )
