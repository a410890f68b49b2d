"""Whether what a model wrote can be posted as it is."""

import re
from collections.abc import Iterator
from enum import StrEnum

from snap2caption import hashtags
from snap2caption.characters import REPLACEMENT

ENOUGH_HASHTAGS = 5
"""A post has enough hashtags with so many valid ones: Instagram shows five at most, and the service picks those."""

MOST_HASHTAGS = 30
"""More were never taken by Instagram; a model that writes them has lost itself in a list."""

MOST_CHARACTERS = 2200
"""The longest post that Instagram takes."""

# The shapes of all families' special tokens and of the names of their speakers: `</s>`, `<|im_end|>`, `<end_of_utterance>`, `[INST]`, `USER:`.
_SPECIAL = re.compile(
    r"</?[|a-z][\w|:-]*>|\[/?INST\]|<</?SYS>>|\b(?:USER|ASSISTANT):|^\s*(?:User|Assistant):", re.MULTILINE
)


class Fault(StrEnum):
    """Why a text is no post as Instagram takes it."""

    TOO_LONG = "too_long"
    """More than `MOST_CHARACTERS`, counted in code points."""
    NO_CAPTION = "no_caption"
    """Nothing but hashtags, or nothing at all."""
    NO_HASHTAG_LINE = "no_hashtag_line"
    """The last line is not hashtags alone, each valid (`snap2caption.hashtags`), with white space between."""
    FEW_HASHTAGS = "few_hashtags"
    """Fewer than `ENOUGH_HASHTAGS` different ones on that line."""
    MANY_HASHTAGS = "many_hashtags"
    """More than `MOST_HASHTAGS` on that line."""
    REPEATED_HASHTAG = "repeated_hashtag"
    """The same one, in normal form, twice on that line."""
    INCOMPLETE_CHARACTER = "incomplete_character"
    """U+FFFD: bytes that the model began a character with and did not finish, or that are none."""
    SPECIAL_TOKEN = "special_token"  # noqa: S105 - no secret
    """A token or speaker of a chat template is left over."""
    PROMPT_ECHO = "prompt_echo"
    """A line of the prompt is in the text, whatever its case and white space."""


def find_faults(text: str, prompt: str) -> tuple[Fault, ...]:
    """Return what keeps *text*, as it was decoded of what a model wrote on *prompt*, from being a valid post; nothing for a valid one.

    Valid is a text without any `Fault`: a caption, then, on the last line, 5 to 30 valid hashtags, no two the same, nothing else; at most
    2,200 characters; no incomplete character, no special token, no line of the prompt.
    """
    return tuple(_faults(text, prompt))


def _faults(text: str, prompt: str) -> Iterator[Fault]:
    if len(text) > MOST_CHARACTERS:
        yield Fault.TOO_LONG
    caption, _ = hashtags.separate(text)
    if not caption:
        yield Fault.NO_CAPTION
    words = text.strip().rpartition("\n")[2].split()
    tags = [hashtags.normalise(word) for word in words if word.startswith("#")]
    if not words or len(tags) < len(words) or None in tags:
        yield Fault.NO_HASHTAG_LINE
    else:
        if len(set(tags)) < ENOUGH_HASHTAGS:
            yield Fault.FEW_HASHTAGS
        if len(tags) > MOST_HASHTAGS:
            yield Fault.MANY_HASHTAGS
        if len(set(tags)) < len(tags):
            yield Fault.REPEATED_HASHTAG
    if REPLACEMENT in text:
        yield Fault.INCOMPLETE_CHARACTER
    if _SPECIAL.search(text):
        yield Fault.SPECIAL_TOKEN
    folded = _fold(text)
    if any(_fold(line) in folded for line in prompt.splitlines() if line.strip()):
        yield Fault.PROMPT_ECHO


def _fold(text: str) -> str:
    return " ".join(text.casefold().split())
