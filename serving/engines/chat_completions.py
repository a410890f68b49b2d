"""Wire format of OpenAI's chat completions: request bodies, streamed chunks, and errors about the context length."""

import base64
import io
import math
import re
from dataclasses import dataclass, field

from PIL.Image import Image

from snap2caption.text.incomplete_characters import complete
from snap2caption.vlm import Decoding

_JPEG_QUALITY = 90

MIN_P = "min_p"
"""A parameter of vLLM and others that OpenAI does not have. If a server refuses it by name, we retry without it."""

_TOO_LONG = re.compile(
    r"context[ _-]?(?:length|size|window)|maximum (?:model|input|prompt) length|prompt is too long", re.IGNORECASE
)
"""How vLLM, OpenAI, llama.cpp and TGI report that a prompt is longer than the model's context."""


class ContextExceededError(Exception):
    """The server reports that the prompt is longer than its model's context."""


@dataclass(slots=True)
class StreamedText:
    """One text as far as the server has streamed it."""

    raw: str = ""
    tokens: int = 0
    probabilities: list[float] = field(default_factory=list)
    cut: bool = False
    first_token: float = 0.0
    voice: tuple[str, ...] = ()
    """The captions of the voice that were in the prompt."""

    @property
    def text(self) -> str:
        """The text without an incomplete last character."""
        return complete(self.raw)

    def append(self, chunk: dict[str, list[dict[str, object]]]) -> None:
        """Add a chunk of the stream.

        Raises:
            KeyError, ValueError, TypeError: the chunk does not follow the API.
        """
        for choice in chunk["choices"]:
            delta, logprobs = choice["delta"], choice.get("logprobs")
            if isinstance(delta, dict):
                self.raw += delta.get("content") or ""
            if isinstance(logprobs, dict):
                probabilities = [math.exp(token["logprob"]) for token in logprobs.get("content") or ()]
                self.probabilities += probabilities
                self.tokens += len(probabilities)
            self.cut |= choice.get("finish_reason") == "length"


def request_body(model: str, prompt: str, image_url: str, decoding: Decoding) -> dict[str, object]:
    """Return the JSON body of a streamed completion with log probabilities."""
    content = [{"type": "image_url", "image_url": {"url": image_url}}, {"type": "text", "text": prompt}]
    truncation = {"top_p": decoding.top_p, MIN_P: decoding.min_p} if decoding.temperature > 0 else {}
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


def check_length(refusal: bytes) -> None:
    """Raise `ContextExceededError` if the server refused because of the prompt's length."""
    if _TOO_LONG.search(refusal.decode(errors="replace")):
        raise ContextExceededError


def data_url(image: Image) -> str:
    """Return the image as a JPEG in a ``data:`` URL."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
