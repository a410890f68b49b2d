"""An engine elsewhere: any server that speaks OpenAI's chat completions, such as vLLM with LoRA adapters."""

import base64
import io
import json
import math
import queue
import re
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import httpx
from PIL.Image import Image

from serving.engines.base import Event, GenerationChunk, GenerationRequest, GenerationResult, describing, whole
from serving.engines.token_budget import PromptTooLongError, fit, longest_option
from snap2caption.errors import UserError
from snap2caption.post import DESCRIBE_PROMPT, Request, build_prompt
from snap2caption.registry.adapters import check_weights
from snap2caption.text.incomplete_characters import complete
from snap2caption.vlm import Decoding

_WAIT = 0.05
"""Seconds that a step waits for news."""

_JPEG_QUALITY = 90

_EXTRA = "min_p"
"""What vLLM and others take beside OpenAI's own parameters. A server that refuses it by name is asked without."""

_BYTES_A_TOKEN = 2
"""Bytes of text that a token stands for, at least in most scripts: English has four, Japanese three."""

_PICTURE_SHARE = 0.5
"""Of the context, what is left for the picture: how many tokens one is, every family counts in its own way."""

_TOO_LONG = re.compile(
    r"context[ _-]?(?:length|size|window)|maximum (?:model|input|prompt) length|prompt is too long", re.IGNORECASE
)
"""How servers (vLLM, OpenAI, llama.cpp, TGI) say that a prompt is longer than their model reads."""


class EngineUnavailableError(UserError):
    """The server does not answer, or refuses."""


@dataclass(slots=True)
class _StreamedText:
    """What the server has written of one text."""

    raw: str = ""
    tokens: int = 0
    probabilities: list[float] = field(default_factory=list)
    cut: bool = False
    first_token: float = 0.0
    voice: tuple[str, ...] = ()
    """What of the voice was in the prompt."""

    @property
    def text(self) -> str:
        """What can be shown of it."""
        return complete(self.raw)


class _RefusedAsTooLongError(Exception):
    """The server says that the prompt is longer than its model reads."""


@dataclass(slots=True, eq=False)
class _RemoteRequest:
    """A task that the server writes about, text by text; the description is the last."""

    waiting: list["Future[_StreamedText]"]
    unwanted: threading.Event


class RemoteEngine:
    """A server at *url* that holds the base model *base* and the adapter *name*; it batches by itself.

    ``httpx``, not the client of OpenAI: it is one request, whose refusals and time-outs we want in our own words.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        version: str,
        name: str,
        base: str,
        timeout: float,
        concurrent: int,
        context: int,
        voice_tokens: int,
    ) -> None:
        """Take the server.

        Args:
            url: where it is.
            key: what it wants as a bearer token; empty, if nothing.
            version: the model's name and version.
            name: of the adapter there.
            base: of the base model there.
            timeout: seconds that it may take for a text.
            concurrent: texts that it is asked for at once.
            context: tokens that its model reads and writes in one sequence, if it does not say so itself.
            voice_tokens: of a prompt, for captions to write like, at most.
        """
        self.version = version
        self.reads_ahead = False
        self._name = name
        self._base = base
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=httpx.Timeout(timeout, connect=5))
        self._timeout = timeout
        self._context = context
        self._voice_tokens = voice_tokens
        self._pool = ThreadPoolExecutor(concurrent, "remote")
        self._asked: dict[GenerationRequest, _RemoteRequest] = {}
        self._news: queue.Queue[Event] = queue.Queue()

    def load(self, adapter: Path) -> None:
        """Let the server load the adapter in the folder *adapter*, which it must see under the same path, as vLLM does it.

        Raises:
            UserError: its weights are no safetensors, and the server might unpickle them.
            EngineAwayError: the server is away or refuses.
        """
        check_weights(adapter)
        self._post("/v1/load_lora_adapter", {"lora_name": self._name, "lora_path": str(adapter)})
        self._context = self._find_context() or self._context

    def fit(self, task: GenerationRequest) -> Request:
        """Return the request with as much of its voice as fits by an estimate: only the server can count tokens.

        What does not fit without the voice, it will refuse by itself.
        """
        room = int((self._context - task.max_new_tokens) * _PICTURE_SHARE)
        try:
            return fit(task.request, _estimate, room=room, voice_room=self._voice_tokens)
        except PromptTooLongError:
            return replace(task.request, voice=())

    def add(self, tasks: Sequence[GenerationRequest]) -> None:
        """Ask the server for every text of *tasks*, each in a request of its own."""
        for task in tasks:
            picture = _data_url(task.image)
            asked = _RemoteRequest([], threading.Event())
            request = self.fit(task)
            for number, decoding in enumerate(task.decodings):
                variant = number if task.stream else None
                caption = partial(self._request_caption, task, variant, request, picture, decoding, asked.unwanted)
                asked.waiting.append(self._pool.submit(caption))
            asked.waiting.append(self._pool.submit(self._request_description, task, picture, asked.unwanted))
            self._asked[task] = asked

    def step(self) -> list[Event]:
        """Return what the server has written since the last step."""
        events: list[Event] = []
        try:
            events.append(self._news.get(timeout=_WAIT))
            while True:
                events.append(self._news.get_nowait())
        except queue.Empty:
            pass
        for task, asked in list(self._asked.items()):
            if all(text.done() for text in asked.waiting):
                del self._asked[task]
                events.append((task, _collect(task, asked)))
        return events

    def drop(self, task: GenerationRequest) -> None:
        """Hang up on the server, which stops writing then."""
        if asked := self._asked.pop(task, None):
            asked.unwanted.set()

    def close(self) -> None:
        """Hang up, and let the server forget the adapter."""
        for asked in self._asked.values():
            asked.unwanted.set()
        self._pool.shutdown(cancel_futures=True)
        try:
            self._post("/v1/unload_lora_adapter", {"lora_name": self._name})
        finally:
            self._client.close()

    def _find_context(self) -> int | None:
        """Return what the server says that its base model reads, if it does."""
        try:
            models = self._client.get("/v1/models").raise_for_status().json()["data"]
            return next((int(one["max_model_len"]) for one in models if one["id"] == self._base), None)
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return None

    def _post(self, path: str, body: dict[str, object]) -> None:
        try:
            answer = self._client.post(path, json=body)
        except httpx.HTTPError as error:
            raise self._away(error) from error
        if not answer.is_success:
            raise self._refused(answer)

    def _request_caption(
        self,
        task: GenerationRequest,
        variant: int | None,
        request: Request,
        picture: str,
        decoding: Decoding,
        unwanted: threading.Event,
    ) -> _StreamedText:
        """Let the server write a caption; without a voice, where its model can't read as much as was estimated."""
        for asked in dict.fromkeys((request, replace(request, voice=()))):
            body = _body(self._name, build_prompt(asked), picture, decoding)
            try:
                text = self._stream_completion(task, variant, body, unwanted)
            except _RefusedAsTooLongError:
                continue
            text.voice = asked.voice
            return text
        option = longest_option(request, _estimate)
        raise PromptTooLongError(
            "The request is longer than the model in service reads; "
            + (f"shorten {option}." if option else "send another photo."),
            option,
        )

    def _request_description(self, task: GenerationRequest, picture: str, unwanted: threading.Event) -> _StreamedText:
        try:
            return self._stream_completion(
                task, None, _body(self._base, DESCRIBE_PROMPT, picture, describing(task)), unwanted
            )
        except _RefusedAsTooLongError as error:
            raise PromptTooLongError(
                "The photo is more than the model in service reads; send another photo."
            ) from error

    def _stream_completion(
        self, task: GenerationRequest, variant: int | None, body: dict[str, object], unwanted: threading.Event
    ) -> _StreamedText:
        text, started = _StreamedText(), time.monotonic()
        try:
            with self._client.stream("POST", "/v1/chat/completions", json=body) as answer:
                if not answer.is_success:
                    refusal = answer.read()
                    _check_length(refusal)
                    if _EXTRA in body and _EXTRA.encode() in refusal:
                        # OpenAI's own interface does not know it.
                        plain = {name: value for name, value in body.items() if name != _EXTRA}
                        return self._stream_completion(task, variant, plain, unwanted)
                    raise self._refused(answer)
                for line in answer.iter_lines():
                    # The client's time-out is between two pieces; this one is for the whole.
                    if unwanted.is_set() or time.monotonic() - started > self._timeout:
                        break
                    if not line.startswith("data: ") or line == "data: [DONE]":
                        continue
                    chunk = json.loads(line.removeprefix("data: "))
                    if "error" in chunk:
                        # Some refuse when they have begun to answer.
                        _check_length(line.encode())
                    _take(text, chunk)
                    text.first_token = text.first_token or time.monotonic() - started
                    if variant is not None:
                        self._news.put((task, GenerationChunk(variant, text.text)))
                else:
                    return text
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise self._away(error) from error
        raise EngineUnavailableError(f"The model server took longer than {self._timeout:.0f} s; try again.")

    def _away(self, error: Exception) -> EngineUnavailableError:
        return EngineUnavailableError(
            f"The model server does not answer as it should ({type(error).__name__}); try again."
        )

    def _refused(self, answer: httpx.Response) -> EngineUnavailableError:
        return EngineUnavailableError(f"The model server refused with status {answer.status_code}; see its log.")


def _body(model: str, prompt: str, picture: str, decoding: Decoding) -> dict[str, object]:
    content = [{"type": "image_url", "image_url": {"url": picture}}, {"type": "text", "text": prompt}]
    truncation = {"top_p": decoding.top_p, _EXTRA: decoding.min_p} if decoding.temperature > 0 else {}
    return {
        "model": model,
        "messages": [{"role": "user", "content": content}],
        "max_tokens": decoding.max_new_tokens,
        "temperature": decoding.temperature,
        "seed": decoding.seed,
        "logprobs": True,
        "stream": True,
        **truncation,
    }


def _estimate(prompt: str) -> int:
    return len(prompt.encode()) // _BYTES_A_TOKEN


def _check_length(answer: bytes) -> None:
    """Check that a refusal is not about the length of the prompt."""
    if _TOO_LONG.search(answer.decode(errors="replace")):
        raise _RefusedAsTooLongError


def _take(text: _StreamedText, chunk: dict[str, list[dict[str, object]]]) -> None:
    for choice in chunk["choices"]:
        delta, logprobs = choice["delta"], choice.get("logprobs")
        if isinstance(delta, dict):
            text.raw += delta.get("content") or ""
        if isinstance(logprobs, dict):
            more = [math.exp(token["logprob"]) for token in logprobs.get("content") or ()]
            text.probabilities += more
            text.tokens += len(more)
        text.cut |= choice.get("finish_reason") == "length"


def _collect(task: GenerationRequest, asked: _RemoteRequest) -> GenerationResult | Exception:
    failed = next((error for one in asked.waiting if (error := one.exception())), None)
    if failed is not None:
        return failed if isinstance(failed, Exception) else EngineUnavailableError(str(failed))
    *texts, description = (one.result() for one in asked.waiting)
    sure = [min(1.0, sum(one.probabilities) / len(one.probabilities)) for one in texts if one.probabilities]
    return GenerationResult(
        texts=tuple(whole(one.text, cut=one.cut) for one in texts),
        description=description.text,
        tokens=sum(one.tokens for one in (*texts, description)),
        confidences=tuple(sure) if len(sure) == len(texts) else (),
        first_token=min(one.first_token for one in texts),
        voice_shortened=any(one.voice != task.request.voice for one in texts),
    )


def _data_url(image: Image) -> str:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
