"""Format checks: whether a generated text is a valid Instagram post."""

import re
from collections.abc import Iterator
from enum import StrEnum

from snap2caption import hashtags
from snap2caption.post import MOST_CHARACTERS, parse, paste
from snap2caption.text.incomplete_characters import REPLACEMENT

# All families' special tokens and speaker names: `</s>`, `<|im_end|>`, `<end_of_utterance>`, `[INST]`, `USER:`.
_SPECIAL = re.compile(
    r"</?[|a-z][\w|:-]*>|\[/?INST\]|<</?SYS>>|\b(?:USER|ASSISTANT):|^\s*(?:User|Assistant):", re.MULTILINE
)


class FormatViolation(StrEnum):
    """A reason why a text is not a valid Instagram post."""

    TOO_LONG = "too_long"
    """It has more than `snap2caption.post.MOST_CHARACTERS` code points."""
    NO_CAPTION = "no_caption"
    """It has only hashtags, or nothing at all."""
    NO_HASHTAG = "no_hashtag"
    """It has no valid hashtag (`snap2caption.hashtags`), or none that the caption leaves room for."""
    BROKEN_HASHTAGS = "broken_hashtags"
    """The last line starts like hashtags but holds something else, such as an invalid hashtag, which would be posted
    as part of the caption.
    """
    INCOMPLETE_CHARACTER = "incomplete_character"
    """It has U+FFFD: bytes of an unfinished or invalid character."""
    SPECIAL_TOKEN = "special_token"  # noqa: S105 - no secret
    """It has a chat template's special token or speaker name."""
    PROMPT_ECHO = "prompt_echo"
    """It repeats a line of the prompt, regardless of case and white space."""


def find_faults(text: str, prompt: str) -> tuple[FormatViolation, ...]:
    """Return the reasons why *text*, a model's output for *prompt*, is not a valid post; empty if it is valid.

    The check is on the post that would be published (`snap2caption.post.paste`): a caption and its best hashtags. A
    valid post has a caption, 1 to 5 valid hashtags and at most 2,200 characters, and no incomplete character, no
    special token and no line of the prompt.
    """
    return tuple(_faults(text, prompt))


def _faults(text: str, prompt: str) -> Iterator[FormatViolation]:
    post = parse(text)
    pasted = paste(post)
    if len(pasted) > MOST_CHARACTERS:
        yield FormatViolation.TOO_LONG
    if not post.caption:
        yield FormatViolation.NO_CAPTION
    if not hashtags.extract(pasted):
        yield FormatViolation.NO_HASHTAG
    last = text.strip().rpartition("\n")[2]
    if last.startswith(("#", "＃")) and hashtags.separate(last)[0]:
        yield FormatViolation.BROKEN_HASHTAGS
    if REPLACEMENT in text:
        yield FormatViolation.INCOMPLETE_CHARACTER
    if _SPECIAL.search(text):
        yield FormatViolation.SPECIAL_TOKEN
    folded = _fold(text)
    if any(_fold(line) in folded for line in prompt.splitlines() if line.strip()):
        yield FormatViolation.PROMPT_ECHO


def _fold(text: str) -> str:
    return " ".join(text.casefold().split())
