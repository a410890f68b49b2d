"""Wire format of OpenAI's chat completions: request bodies and streamed chunks."""

import base64
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL.Image import Image

from serving.engines.server_errors import EngineUnavailableError
from snap2caption.text.incomplete_characters import complete
from snap2caption.vlm import Decoding

_JPEG_QUALITY = 90

_REASONING = ("reasoning", "reasoning_content")
"""Where servers stream what a model thinks before it answers: Ollama and OpenRouter, llama.cpp and vLLM."""


@dataclass(slots=True)
class StreamedText:
    """One text as far as the server has streamed it."""

    raw: str = ""
    chunks: int = 0
    """Chunks with text: one per token in most servers."""
    completion_tokens: int | None = None
    """The number of tokens that the server reports at the end."""
    probabilities: list[float] = field(default_factory=list)
    cut: bool = False
    reasoned: bool = False
    """Whether the model has thought aloud, apart from the text."""
    first_token: float = 0.0
    voice: tuple[str, ...] = ()
    """The captions of the voice that were in the prompt."""

    @property
    def text(self) -> str:
        """The text without an incomplete last character."""
        return complete(self.raw)

    @property
    def tokens(self) -> int:
        """The number of tokens, as exactly as the server reports it."""
        return len(self.probabilities) or self.completion_tokens or self.chunks

    def append(self, chunk: Mapping[str, Any]) -> None:
        """Add a chunk of the stream.

        Raises:
            EngineUnavailableError: the chunk does not follow the API.
        """
        try:
            self._append(chunk)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise EngineUnavailableError(
                f"The model server does not follow OpenAI's API ({type(error).__name__}); try again."
            ) from error

    def _append(self, chunk: Mapping[str, Any]) -> None:
        # A chunk that only reports the usage may have no choices.
        for choice in chunk.get("choices") or ():
            delta, logprobs = choice.get("delta") or {}, choice.get("logprobs")
            self.reasoned |= any(delta.get(name) for name in _REASONING)
            text = delta.get("content")
            if isinstance(text, list):
                # Mistral sends parts: what the model thinks, and text.
                self.reasoned |= any(part["type"] == "thinking" for part in text)
                text = "".join(part["text"] for part in text if part["type"] == "text")
            if text:
                self.raw += text
                self.chunks += 1
            if logprobs:
                tokens = logprobs.get("content") or ()
                # JSON has no infinity, so null is the logarithm of 0.
                self.probabilities += [0.0 if (p := token["logprob"]) is None else math.exp(p) for token in tokens]
            self.cut |= choice.get("finish_reason") == "length"
        if usage := chunk.get("usage"):
            self.completion_tokens = usage.get("completion_tokens")


def request_body(
    model: str, prompt: str, image_url: str, decoding: Decoding, response_format: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the JSON body of a streamed completion with log probabilities and usage.

    *response_format* is OpenAI's: a JSON schema that the reply has to follow.
    """
    content = [{"type": "image_url", "image_url": {"url": image_url}}, {"type": "text", "text": prompt}]
    truncation = {"top_p": decoding.top_p, "min_p": decoding.min_p} if decoding.temperature > 0 else {}
    structure = {"response_format": response_format} if response_format else {}
    return {
        "model": model,
        "messages": [{"role": "user", "content": content}],
        "max_tokens": decoding.max_new_tokens,
        "temperature": decoding.temperature,
        "seed": decoding.seed,
        "logprobs": True,
        "stream": True,
        "stream_options": {"include_usage": True},
        **truncation,
        **structure,
    }


def data_url(image: Image) -> str:
    """Return the image as a JPEG in a ``data:`` URL."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
