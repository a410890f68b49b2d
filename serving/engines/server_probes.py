"""Load-time probes of a model server: whether its model sees, keeps to a JSON schema, and is apart from its adapters."""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from PIL import Image, ImageDraw
from rapidfuzz import fuzz

from serving.engines.cancellation import Cancellation
from serving.engines.chat_completions import StreamedText, data_url, request_body
from serving.engines.chat_server import ChatServer
from serving.engines.server_errors import ContextExceededError, EngineUnavailableError
from serving.prompting import json_reply
from serving.prompting.template import PromptTemplate
from snap2caption.post import Request
from snap2caption.vlm import Decoding

logger = logging.getLogger(__name__)

_PICTURE_PIXELS = 224
_TOKENS = 32
_AT_ONCE = 3
"""How many captions, and how many descriptions, are asked for at the same time."""
_NOISE = 10.0
"""How much less alike two texts may be by chance, of 100."""


def check_vision(server: ChatServer, model: str) -> None:
    """Refuse a model that can't see, which Ollama may answer with a text about nothing.

    Ollama's own API lists a model's capabilities; other servers reject photos themselves.

    Raises:
        EngineUnavailableError: the model is a text model.
    """
    shown = server.ask("/api/show", {"model": model})
    capabilities = shown.get("capabilities") if isinstance(shown, dict) else None
    if isinstance(capabilities, list) and "vision" not in capabilities:
        raise EngineUnavailableError(f"The model {model} can't see photos; choose a vision model, such as gemma3:4b.")


def keeps_to_schema(server: ChatServer, model: str, response_format: Mapping[str, Any]) -> bool:
    """Whether the server has the model write JSON when the request has a *response_format* and the prompt has not.

    A server that ignores it or rejects it answers in plain text. A weak model that is kept to it may write white space
    for ever; its caption is asked for in plain text, too. The request also makes Ollama load the model.

    Raises:
        EngineUnavailableError: the server does not answer, or rejects the request.
    """
    prompt = "Write a very short caption for this picture, and one hashtag."
    try:
        text = _complete(server, request_body(model, prompt, _picture(), Decoding(_TOKENS), response_format))
    except ContextExceededError:
        return False
    return bool(json_reply.START.match(text.text) and json_reply.read_json(text.text).caption)


def mixes_up_adapters(server: ChatServer, base: str, adapter: str, prompts: PromptTemplate) -> bool:
    """Whether the base writes otherwise when the server runs it and the adapter in one batch.

    vLLM does so on CPUs (vllm-project/vllm#48421): rows without an adapter get the one in the last slot. The base
    describes a picture alone, several times at once, and several times at once with captions of the adapter. Batches
    alone may change a word; the adapter changes much more.

    Raises:
        EngineUnavailableError: the server does not answer, or rejects a request.
    """
    image = _picture()
    description = request_body(base, prompts.description(Request()), image, Decoding(_TOKENS))
    # Captions that do not end early are in every batch with the descriptions.
    caption = request_body(adapter, prompts.caption(Request()), image, Decoding(_TOKENS)) | {"ignore_eos": True}

    def at_once(*bodies: dict[str, Any]) -> list[str]:
        with ThreadPoolExecutor(len(bodies)) as pool:
            return [text.text for text in pool.map(partial(_complete, server), bodies)]

    (alone,) = at_once(description)

    def least_likeness(texts: Sequence[str]) -> float:
        return min(fuzz.ratio(text, alone) for text in texts)

    together = least_likeness(at_once(*[description] * _AT_ONCE))
    beside_captions = least_likeness(at_once(*[caption, description] * _AT_ONCE)[1::2])
    return beside_captions < together - _NOISE


def _complete(server: ChatServer, body: dict[str, Any]) -> StreamedText:
    text = StreamedText()
    for chunk in server.stream(body, Cancellation()):
        text.append(chunk)
    return text


def _picture() -> str:
    picture = Image.new("RGB", (_PICTURE_PIXELS, _PICTURE_PIXELS), "skyblue")
    ImageDraw.Draw(picture).rectangle((0, 150, _PICTURE_PIXELS, _PICTURE_PIXELS), fill="seagreen")
    return data_url(picture)
