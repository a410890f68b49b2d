"""Token budget of a prompt: the creator's request, the photo and the answer must fit into the model's context."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from snap2caption.errors import UserError
from snap2caption.post import Request
from snap2caption.text.truncation import cut

_FREE_TEXT = {"earlier": "earlier_caption", "hint": "hint", "location": "location", "language": "language"}
"""The request fields of unlimited length, and the API options that fill them.

The voice is not among them: it is shortened, never refused.
"""


class PromptTooLongError(UserError):
    """The prompt is longer than the model's context. *option* is the longest API option, if one was given."""

    def __init__(self, detail: str, option: str | None = None) -> None:
        super().__init__(detail)
        self.option = option


def fit(request: Request, count: Callable[[Request], int], *, max_tokens: int, max_voice_tokens: int) -> Request:
    """Return *request* with as many captions of its voice as fit, in their order.

    If the first caption does not fit, it is cut at the end of a word; a word that is too long is cut as well.
    Later captions that do not fit are left out.

    Args:
        request: the creator's request.
        count: returns the number of tokens of a request's prompt.
        max_tokens: the limit of the whole prompt.
        max_voice_tokens: the limit of the voice within it.

    Raises:
        PromptTooLongError: the prompt is too long even without the voice.
    """
    without_voice = replace(request, voice=())
    needed = count(without_voice)
    if needed > max_tokens:
        raise prompt_too_long(max_tokens, needed, longest_option(without_voice, count))
    limit = min(max_tokens, needed + max_voice_tokens)

    def fits(voice: Sequence[str]) -> bool:
        return count(replace(without_voice, voice=tuple(voice))) <= limit

    kept: list[str] = []
    for caption in request.voice:
        if fits([*kept, caption]):
            kept.append(caption)
        elif not kept:
            kept = [beginning] if (beginning := cut(caption, lambda text: fits([text]))) else []
    return replace(without_voice, voice=tuple(kept))


def prompt_too_long(max_tokens: int, needed: int, option: str | None = None) -> PromptTooLongError:
    """Return the error for a prompt that *needed* more than *max_tokens*; *option* is the API option to shorten."""
    return PromptTooLongError(
        f"The model reads at most {max(0, max_tokens)} tokens next to the photo, and the request has {needed}; "
        + (f"shorten {option}." if option else "send another photo."),
        option,
    )


def longest_option(request: Request, count: Callable[[Request], int]) -> str | None:
    """Return the API option that adds the most tokens to *request*, or None if it has no free text.

    The voice is not considered.
    """
    given = [name for name in _FREE_TEXT if getattr(request, name)]
    without: dict[str, Any] = dict.fromkeys(_FREE_TEXT)
    tokens = {name: count(replace(request, voice=(), **without | {name: getattr(request, name)})) for name in given}
    return _FREE_TEXT[max(tokens, key=lambda name: tokens[name])] if tokens else None
