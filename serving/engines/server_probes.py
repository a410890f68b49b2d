"""Load-time probes of a model server: whether its model sees, keeps to a JSON schema, and is apart from its adapters."""

import logging
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from PIL import Image, ImageDraw
from rapidfuzz import fuzz

from serving.engines.chat_completions import StreamedText, data_url, request_body
from serving.engines.chat_server import ChatServer
from serving.engines.server_errors import ContextExceededError, EngineUnavailableError
from serving.prompting.template import PromptTemplate
from snap2caption.post import Request
from snap2caption.vlm import Decoding

logger = logging.getLogger(__name__)

_PICTURE_PIXELS = 224
_TOKENS = 48
_AT_ONCE = 3
"""How many captions, and how many descriptions, are asked for at the same time."""


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

    A server that ignores it or rejects it answers in plain text. The first request also makes Ollama load the model.

    Raises:
        EngineUnavailableError: the server does not answer, or rejects the request.
    """
    prompt = "Write a very short caption for this picture, and one hashtag."
    try:
        text = _complete(server, request_body(model, prompt, _picture(), Decoding(_TOKENS), response_format))
    except ContextExceededError:
        return False
    return text.text.lstrip().startswith("{")


def mixes_up_adapters(server: ChatServer, base: str, adapter: str, prompts: PromptTemplate) -> bool:
    """Whether the base answers as the adapter does when the server runs both in one batch.

    vLLM does so on CPUs (vllm-project/vllm#48421): rows without an adapter get the one in the last slot. The base and
    the adapter are asked for a description alone, and the base again while captions are generated.

    Raises:
        EngineUnavailableError: the server does not answer, or rejects a request.
    """
    image = _picture()
    question = prompts.description(Request())

    def ask(model: str, prompt: str) -> str:
        return _complete(server, request_body(model, prompt, image, Decoding(_TOKENS))).text

    alone, in_the_adapters_style = ask(base, question), ask(adapter, question)
    with ThreadPoolExecutor(2 * _AT_ONCE) as pool:
        describe, caption = partial(ask, base, question), partial(ask, adapter, prompts.caption(Request()))
        futures = [pool.submit(ask_once) for _ in range(_AT_ONCE) for ask_once in (caption, describe)]
        described = [future.result() for future in futures[1::2]]
    return any(fuzz.ratio(text, in_the_adapters_style) > fuzz.ratio(text, alone) for text in described)


def _complete(server: ChatServer, body: dict[str, Any]) -> StreamedText:
    text = StreamedText()
    for chunk in server.stream(body, threading.Event()):
        text.append(chunk)
    return text


def _picture() -> str:
    picture = Image.new("RGB", (_PICTURE_PIXELS, _PICTURE_PIXELS), "skyblue")
    ImageDraw.Draw(picture).rectangle((0, 150, _PICTURE_PIXELS, _PICTURE_PIXELS), fill="seagreen")
    return data_url(picture)
