"""What was asked of a caption and can be seen to: its emoji and its length."""

import regex as re

from snap2caption.post import Emoji, Length

# A pictograph with its skin tones and what is joined to it; a flag; a key's cap. Signs such as © are text unless they ask to be drawn.
_ONE = r"(?:(?![©®™](?!\uFE0F))\p{Extended_Pictographic})[\p{Emoji_Modifier}\uFE0F]*"
_EMOJI = re.compile(rf"{_ONE}(?:\u200D{_ONE})*|\p{{Regional_Indicator}}{{2}}|[0-9#*]\uFE0F?\u20E3")
_SENTENCE_END = re.compile(r"(?<=[.!?…。！？])\s+|\n+")

_SOME = 3
"""Emoji of a caption that asks for some."""


def finish(caption: str, length: Length | None, emoji: Emoji | None) -> str:
    """Return *caption* with no more emoji and whole sentences than asked for; the first sentence always stays."""
    if length is not None:
        caption = _shorten(caption, length.words)
    if emoji is not None and emoji is not Emoji.MANY:
        caption = _limit(caption, 0 if emoji is Emoji.NONE else _SOME)
    return caption


def _shorten(caption: str, most: int) -> str:
    end = words = 0
    for match in [*_SENTENCE_END.finditer(caption), None]:
        stop = match.start() if match else len(caption)
        words += len(re.findall(r"\w+(?:['’]\w+)*", caption[end:stop]))
        if words > most and end:
            break
        end = stop
    return caption[:end].rstrip()


def _limit(caption: str, most: int) -> str:
    surplus = list(_EMOJI.finditer(caption))[most:]
    for match in reversed(surplus):
        caption = caption[: match.start()].rstrip(" ") + caption[match.end() :]
    return caption.strip()
