"""HTTP client of a server with OpenAI's chat completions API: models, streamed completions, errors."""

import json
import logging
import re
import time
from collections.abc import Generator, Iterator
from typing import Any

import httpx

from serving.engines.cancellation import Cancellation
from serving.engines.server_errors import EngineUnavailableError, Refusal
from serving.engines.server_models import ServerModel, find_model, read_models
from snap2caption.redaction import redact_url

logger = logging.getLogger(__name__)

Body = dict[str, Any]
"""A JSON body."""

_CONNECT_SECONDS = 5.0

_KEPT_SECONDS = 240.0
"""How long a server surely keeps a model that nobody uses: Ollama and ``transformers serve`` unload it after 300 s."""

_LOADING_POLL_SECONDS = 1.0

_LINE_BYTES = 2**20
"""The longest line of a stream. A line is a token or a few, with their probabilities."""

_NOT_THERE = (404, 405, 501)
"""The statuses of a server without ``/v1/models``."""

_VERSION = re.compile(r"/v\d\w*$")

_ERROR_BODY = re.compile(r'\{\s*"error"\s*:')
"""Matches an error that is sent in place of a stream, with status 200."""

_OPTIONAL = (
    "ignore_eos",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "min_p",
    "response_format",
    "seed",
    "stream_options",
    "temperature",
    "top_p",
)
"""Parameters that some servers or models refuse. We then ask again without them."""

_REPLACED = {"max_tokens": "max_completion_tokens"}
"""Parameters that are sent under their new name once a server has refused the old one."""


class ChatServer:
    """A server with OpenAI's chat completions API. Thread-safe.

    It uses ``httpx`` and not OpenAI's client: there is only one kind of request, and we want control over its errors
    and timeouts. What the server refuses is remembered, so that it costs one request.
    """

    def __init__(self, url: str, key: str, *, timeout: float, load_timeout: float) -> None:
        """Prepare a client. No request is sent yet.

        Args:
            url: the server's address, with or without the API's version (``/v1``).
            key: the bearer token, or an empty string for none.
            timeout: seconds that one text may take.
            load_timeout: seconds to the first token of a model that the server has to load first.
        """
        self.address = redact_url(url.rstrip("/"))
        self._url = url.rstrip("/")
        self._api = self._url if _VERSION.search(self._url) else f"{self._url}/v1"
        self._key = key
        self._timeout = timeout
        self._load_timeout = load_timeout
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(timeout, connect=_CONNECT_SECONDS),
            # For `Cancellation`, each request has a connection of its own.
            limits=httpx.Limits(max_keepalive_connections=0),
        )
        self._refused: frozenset[str] = frozenset()
        """Parameters that the server does not take."""
        self._answered_at: float | None = None

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def find(self, name: str) -> ServerModel:
        """Return the model called *name*. A server that does not list its models is trusted to have it.

        While llama.cpp loads its model, this waits.

        Raises:
            EngineUnavailableError: the server does not answer, rejects the key, or does not have the model.
        """
        deadline = time.monotonic() + self._load_timeout
        while not (response := self._get_models()).is_success:
            if response.status_code in _NOT_THERE:
                logger.info("the model server at %s does not list its models; %s is asked for", self.address, name)
                return ServerModel(name)
            refusal = _refusal(response)
            if not (refusal.is_loading and time.monotonic() < deadline):
                raise self._failure(refusal)
            logger.debug("the model server at %s is loading its model", self.address)
            time.sleep(_LOADING_POLL_SECONDS)
        try:
            models = read_models(response.json())
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise EngineUnavailableError(
                f"{redact_url(self._api)}/models is not answered as OpenAI's API has it; "
                "correct SNAP2CAPTION_SERVING_ENGINE_URL."
            ) from error
        return find_model(models, name, self.address)

    def _get_models(self) -> httpx.Response:
        try:
            response = self._client.get(f"{self._api}/models")
            if response.status_code == 404 and self._api != self._url:
                # A gateway may have its API under another path, such as /v1beta/openai.
                direct = self._client.get(f"{self._url}/models")
                if direct.is_success and "json" in direct.headers.get("content-type", ""):
                    self._api, response = self._url, direct
        except httpx.HTTPError as error:
            raise EngineUnavailableError(
                f"No model server answers at {self.address} ({type(error).__name__}); "
                "start it, or correct SNAP2CAPTION_SERVING_ENGINE_URL (--engine)."
            ) from error
        return response

    def post(self, path: str, body: Body) -> None:
        """Send a request of the API whose answer has no content.

        Raises:
            EngineUnavailableError: the server does not answer, or rejects the request.
        """
        try:
            response = self._client.post(f"{self._api}{path}", json=body)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        if not response.is_success:
            raise self._failure(_refusal(response))

    def ask(self, path: str, body: Body) -> Any:
        """Return what the server answers to a request outside of OpenAI's API, or None if it does not know it."""
        try:
            response = self._client.post(f"{_VERSION.sub('', self._url)}{path}", json=body)
            return response.json() if response.is_success else None
        except (httpx.HTTPError, ValueError):
            return None

    def stream(self, body: Body, cancellation: Cancellation) -> Generator[Any]:
        """Yield the chunks of a streamed completion as the server sends them.

        Parameters that the server refuses are left out. After *cancellation*, the connection is closed with an error.

        Raises:
            ContextExceededError: the prompt is longer than the model's context.
            EngineUnavailableError: the server does not answer in time, or rejects the request.
        """
        idle = self._answered_at is None or time.monotonic() - self._answered_at > _KEPT_SECONDS
        limit = max(self._timeout, self._load_timeout) if idle else self._timeout
        deadline = time.monotonic() + limit
        refused = self._refused
        while not cancellation.is_canceled():
            sent = _without(body, refused)
            try:
                timeout = httpx.Timeout(limit, connect=_CONNECT_SECONDS)
                with self._client.stream(
                    "POST",
                    f"{self._api}/chat/completions",
                    json=sent,
                    timeout=timeout,
                    extensions={"trace": cancellation.trace},
                ) as response:
                    if response.is_success:
                        self._refused |= refused
                        yield from self._read(response, cancellation, deadline)
                        return
                    response.read()
            except httpx.HTTPError as error:
                if cancellation.is_canceled():
                    break
                raise self._unreachable(error) from error
            refusal = _refusal(response)
            parameter = refusal.refused_parameter([name for name in _OPTIONAL if name in sent])
            if parameter:
                logger.info("the model server at %s refuses %s; it is asked without", self.address, parameter)
                refused |= {parameter}
            elif not (refusal.is_loading and time.monotonic() < deadline):
                raise self._failure(refusal)
            else:
                cancellation.wait(_LOADING_POLL_SECONDS)
        raise EngineUnavailableError("The request was canceled.")

    def _read(self, response: httpx.Response, cancellation: Cancellation, deadline: float) -> Generator[Any]:
        first = True
        for line in _lines(response):
            # The client's timeout applies between two chunks; this one limits the whole text.
            if cancellation.is_canceled() or time.monotonic() > deadline:
                raise EngineUnavailableError(f"The model server took longer than {self._timeout:.0f} s; try again.")
            field, _, data = ("error", "", line) if _ERROR_BODY.match(line) else line.partition(":")
            data = data.strip()
            if field not in ("data", "error") or not data or data == "[DONE]":
                continue
            try:
                chunk = json.loads(data)
            except ValueError as error:
                raise self._unreachable(error) from error
            if field == "error" or (isinstance(chunk, dict) and chunk.get("error")):
                # Some servers report an error after they have started to stream.
                raise self._failure(Refusal.read(response.status_code, data.encode()))
            self._answered_at = time.monotonic()
            if first:
                first, deadline = False, min(deadline, self._answered_at + self._timeout)
            yield chunk
        if first and not cancellation.is_canceled():
            raise self._unreachable(ValueError("no chunks"))

    def _failure(self, refusal: Refusal) -> Exception:
        quote = refusal.quote(self._key)
        logger.warning("the model server at %s responded with status %d: %s", self.address, refusal.status, quote)
        return refusal.error()

    def _unreachable(self, error: Exception) -> EngineUnavailableError:
        logger.warning("the model server at %s does not answer correctly: %s", self.address, type(error).__name__)
        return EngineUnavailableError(
            f"The model server does not answer correctly ({type(error).__name__}); try again."
        )


def _lines(response: httpx.Response) -> Iterator[str]:
    """Yield the lines of a stream, and an empty one for each part of a line that is not complete yet.

    Raises:
        httpx.DecodingError: a line is too long.
    """
    rest = b""
    for data in response.iter_bytes():
        *lines, rest = (rest + data).split(b"\n")
        if len(rest) > _LINE_BYTES:
            raise httpx.DecodingError("a line of the stream is too long", request=response.request)
        yield from (line.decode(errors="replace") for line in lines or (b"",))
    yield rest.decode(errors="replace")


def _refusal(response: httpx.Response) -> Refusal:
    if response.has_redirect_location:
        # It is not followed, because the key would be sent there.
        return Refusal(response.status_code, f"redirect to {redact_url(response.headers['location'])}")
    return Refusal.read(response.status_code, response.content, response.headers.get("retry-after"))


def _without(body: Body, refused: frozenset[str]) -> Body:
    """Return *body* without the parameters *refused*, under their new names if they have one."""
    sent = {name: value for name, value in body.items() if name not in refused}
    for old, new in _REPLACED.items():
        if old in body and old in refused and new not in refused:
            sent[new] = body[old]
    return sent
