"""The token budget of a prompt: what a creator asks for must fit beside the photo and the answer into what the model reads."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from snap2caption.errors import UserError
from snap2caption.post import Request, build_prompt
from snap2caption.text.truncation import cut

_FREE = {"earlier": "earlier_caption", "hint": "hint", "location": "location", "language": "language"}
"""The parts of a request that are as long as their creator likes, and the options that they come from. The voice is apart: it is shortened."""


class PromptTooLongError(UserError):
    """The model can't read what is asked for. *option* is what makes it so long, if it is an option."""

    def __init__(self, detail: str, option: str | None = None) -> None:
        super().__init__(detail)
        self.option = option


def fit(request: Request, count: Callable[[str], int], *, room: int, voice_room: int) -> Request:
    """Return *request* with as much of its voice as fits, the first captions first.

    The first one is cut if need be, at the end of a word, or within a word that is longer than that; a further one that does not fit is left out.

    Args:
        request: what is asked for.
        count: returns the tokens of a prompt.
        room: the tokens that a prompt may have.
        voice_room: the tokens of these that the voice may have.

    Raises:
        PromptTooLongError: it does not fit even without the voice.
    """
    bare = replace(request, voice=())
    needed = count(build_prompt(bare))
    if needed > room:
        raise no_room(room, needed, longest_option(bare, count))
    most = min(room, needed + voice_room)

    def fits(voice: Sequence[str]) -> bool:
        return count(build_prompt(replace(bare, voice=tuple(voice)))) <= most

    kept: list[str] = []
    for caption in request.voice:
        if fits([*kept, caption]):
            kept.append(caption)
        elif not kept:
            kept = [beginning] if (beginning := cut(caption, lambda text: fits([text]))) else []
    return replace(bare, voice=tuple(kept))


def no_room(room: int, needed: int, option: str | None = None) -> PromptTooLongError:
    """Return the refusal of a prompt that needs so many tokens where there is *room* for fewer; *option* is what makes it so long."""
    return PromptTooLongError(
        f"The model in service reads {max(0, room)} tokens beside the photo, and the request has {needed}; "
        + (f"shorten {option}." if option else "send another photo."),
        option,
    )


def longest_option(request: Request, count: Callable[[str], int]) -> str | None:
    """Return the option of *request* that takes most tokens beside its voice; None if it has none."""
    given = [name for name in _FREE if getattr(request, name)]
    without: dict[str, Any] = dict.fromkeys(_FREE)
    alone = {
        name: count(build_prompt(replace(request, voice=(), **without | {name: getattr(request, name)})))
        for name in given
    }
    return _FREE[max(alone, key=lambda name: alone[name])] if alone else None
