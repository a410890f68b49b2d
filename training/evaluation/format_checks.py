"""Whether what a model wrote makes a post as Instagram takes it."""

import re
from collections.abc import Iterator
from enum import StrEnum

from snap2caption import hashtags
from snap2caption.post import MOST_CHARACTERS, parse, paste
from snap2caption.text.incomplete_characters import REPLACEMENT

# The shapes of all families' special tokens and of the names of their speakers: `</s>`, `<|im_end|>`, `<end_of_utterance>`, `[INST]`, `USER:`.
_SPECIAL = re.compile(
    r"</?[|a-z][\w|:-]*>|\[/?INST\]|<</?SYS>>|\b(?:USER|ASSISTANT):|^\s*(?:User|Assistant):", re.MULTILINE
)


class FormatViolation(StrEnum):
    """Why a text makes no post as Instagram takes it."""

    TOO_LONG = "too_long"
    """More than `snap2caption.post.MOST_CHARACTERS`, counted in code points."""
    NO_CAPTION = "no_caption"
    """Nothing but hashtags, or nothing at all."""
    NO_HASHTAG = "no_hashtag"
    """No valid one (`snap2caption.hashtags`), or none that the caption leaves room for."""
    BROKEN_HASHTAGS = "broken_hashtags"
    """The last line begins as hashtags do and holds something else, such as an invalid one: that would be posted as words of the caption."""
    INCOMPLETE_CHARACTER = "incomplete_character"
    """U+FFFD: bytes that the model began a character with and did not finish, or that are none."""
    SPECIAL_TOKEN = "special_token"  # noqa: S105 - no secret
    """A token or speaker of a chat template is left over."""
    PROMPT_ECHO = "prompt_echo"
    """A line of the prompt is in the text, whatever its case and white space."""


def find_faults(text: str, prompt: str) -> tuple[FormatViolation, ...]:
    """Return what keeps *text*, which a model wrote on *prompt*, from being a valid post; nothing for a valid one.

    The post that is pasted is judged (`snap2caption.post.paste`): a caption and its best hashtags. It is valid
    without any `FormatViolation`: it has a caption, 1 to 5 valid hashtags and at most 2,200 characters, and no
    incomplete character, no special token and no line of the prompt.
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
