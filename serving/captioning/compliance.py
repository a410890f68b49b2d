"""Compliance: what a caption by an untrained model does not follow of the request."""

from collections.abc import Iterator
from dataclasses import dataclass

from rapidfuzz import fuzz

from serving.http.schemas import Options, Part
from serving.prompting.instruct import LEAST_WORDS
from snap2caption.post import SOME_EMOJI, Emoji, Request
from snap2caption.text.language_detection import may_be_in
from snap2caption.text.segmentation import find_emoji, find_words, fold

_MOST_SIMILAR = 85
"""The similarity (Indel, in percent of the longer text) from which a caption is a copy of another one."""

_MIN_COPIED_WORDS = 4
"""The fewest words of a caption that count as copied if they are part of another one."""


_LEAST_EMOJI = {Emoji.SOME: 1, Emoji.MANY: (SOME_EMOJI + 1) // 2}
"""The fewest emoji of a caption. As with words, half of what the model is asked for is enough."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A part of the request that a caption does not follow."""

    correction: str
    """The instruction to the model for its second try."""
    notice: str
    """What the creator is told if the second try is no better; its subject is the caption."""


def find_violations(caption: str, options: Options, request: Request) -> tuple[Violation, ...]:
    """Return what *caption*, trimmed to the request, does not follow. *request* is what the model was asked for."""
    if options.regenerate is Part.HASHTAGS:
        return ()
    return tuple(_violations(caption, options, request))


def _violations(caption: str, options: Options, request: Request) -> Iterator[Violation]:
    if options.language and not may_be_in(caption, options.language):
        yield Violation(
            f"Write the whole caption in {request.language}.",
            f"seems not to be in {request.language}, although the model was asked for it.",
        )
    if request.length:
        words, most = len(find_words(caption)), request.length.words
        # A caption of half the words is what people expect, too.
        least = (LEAST_WORDS[request.length] + 1) // 2
        counted = "1 word" if words == 1 else f"{words} words"
        if words > most:
            yield Violation(
                f"Write at most {most} words; your caption had {words}.",
                f"has {counted}, more than the {most} of a {request.length} one.",
            )
        elif words < least:
            yield Violation(
                f"Write at least {LEAST_WORDS[request.length]} words; your caption had {words}.",
                f"has {counted}, fewer than expected of a {request.length} one.",
            )
    if request.emoji in _LEAST_EMOJI:
        emoji = len(find_emoji(caption))
        if not emoji:
            yield Violation("Use emoji in the caption.", "has no emoji, although the model was asked for some.")
        elif emoji < _LEAST_EMOJI[request.emoji]:
            yield Violation(
                f"Use more than {SOME_EMOJI} emoji in the caption.",
                f"has {emoji} emoji, although the model was asked for many.",
            )
    if any(_is_copy(caption, example) for example in request.voice):
        yield Violation(
            "Write a caption of your own; do not copy the captions that show the style.",
            "is nearly the same as one of your captions, although the model was asked for another one.",
        )
    if request.earlier and _is_copy(caption, request.earlier.caption):
        yield Violation(
            "Write a caption that differs from the earlier one.",
            "is nearly the same as the earlier one, although the model was asked for another one.",
        )


def _is_copy(caption: str, other: str) -> bool:
    """Whether a caption is the same as another one, nearly the same, or contains it."""
    folded, example = fold(caption), fold(other)
    contained = len(example.split()) >= _MIN_COPIED_WORDS and f" {example} " in f" {folded} "
    return contained or fuzz.ratio(folded, example) >= _MOST_SIMILAR
