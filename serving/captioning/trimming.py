"""Trimming of captions: the requested length and number of emoji, and no bare hash signs at the end."""

import re

from snap2caption.post import SOME_EMOJI, Emoji, Length
from snap2caption.text.segmentation import find_emoji, find_words
from snap2caption.text.truncation import SENTENCE_END

_BARE_SIGNS = re.compile(r"(?:(?:^|\s+)[#＃]+)+\s*$")
"""Hash signs without a word at the end of a caption, which weak models leave behind."""


def trim(caption: str, length: Length | None, emoji: Emoji | None) -> str:
    """Return *caption* without the emoji and sentences beyond the requested number. The first sentence always stays."""
    caption = _BARE_SIGNS.sub("", caption)
    if length is not None:
        caption = _shorten(caption, length.words)
    if emoji is not None and emoji is not Emoji.MANY:
        caption = _limit_emoji(caption, 0 if emoji is Emoji.NONE else SOME_EMOJI)
    return caption


def _shorten(caption: str, most: int) -> str:
    end = words = 0
    for match in [*SENTENCE_END.finditer(caption), None]:
        stop = match.start() if match else len(caption)
        words += len(find_words(caption[end:stop]))
        if words > most and end:
            break
        end = stop
    return caption[:end].rstrip()


def _limit_emoji(caption: str, most: int) -> str:
    for match in reversed(find_emoji(caption)[most:]):
        caption = caption[: match.start()].rstrip(" ") + caption[match.end() :]
    return caption.strip()
