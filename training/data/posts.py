"""Posts to learn: not empty, and no longer than what is to be written."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import replace

import regex as re

from snap2caption.datasets.shards import Sample
from snap2caption.errors import UserError
from snap2caption.post import Post, render
from snap2caption.text.invisible_characters import is_seen
from snap2caption.text.truncation import cut

_CHARACTERS_A_TOKEN = 64
"""Hardly any text has more, on the average: what lies beyond is not looked at."""

_SENTENCE_END = re.compile(r"[.!?…。！？]+[\"'”’»)\]]*(?=\s|$)|[。！？]|\n")


def check_post(sample: Sample) -> None:
    """Check that *sample* has words or hashtags to learn, as far as anybody sees.

    Raises:
        UserError: it has none, or one of its hashtags is empty.
    """
    tags = [is_seen(tag.strip("#＃")) for tag in sample.post.hashtags]
    if all(tags) and (tags or is_seen(sample.post.caption)):
        return
    empty = "a hashtag that is empty" if any(tags) or is_seen(sample.post.caption) else "an empty post"
    raise UserError(
        f"The sample {sample.id!r} of the shard {sample.shard} has {empty}; make the dataset again with `transform`."
    )


def fits(text: str, tokens: int, count: Callable[[str], int]) -> bool:
    """Whether *text* has so many *tokens* at most; *count* counts them."""
    # A token is a byte or more. Most posts are so short that none need be counted.
    return len(text.encode()) <= tokens or (len(text) <= tokens * _CHARACTERS_A_TOKEN and count(text) <= tokens)


def shorten(post: Post, tokens: int, count: Callable[[str], int]) -> Post:
    """Return what is learned of *post*: all of it, if it has so many *tokens* at most as it is rendered.

    A longer one loses the end of its caption, back to the end of a sentence, or of a word where no sentence ends in the second half of what
    would fit. Its hashtags stay, as far as they take half of the tokens. Trainers usually cut a sequence where it gets too long (TRL,
    LLaVA's own), and so lose what comes last: here the hashtags and the sign that the post is over. A model that never saw them after a long
    caption would write on until it is stopped. To leave the sample out (Axolotl) would lose its photo, and change the length of a stream.
    """
    if fits(render(post), tokens, count):
        return post

    def caption_fits(caption: str) -> bool:
        return fits(render(replace(post, caption=caption, hashtags=tags)), tokens, count)

    def are_too_many(number: int) -> bool:
        return not fits(render(Post("", post.hashtags[:number])), tokens // 2, count)

    # None always fit.
    tags = post.hashtags[: bisect_left(range(len(post.hashtags) + 1), True, key=are_too_many) - 1]
    caption = cut(post.caption.strip()[: tokens * _CHARACTERS_A_TOKEN], caption_fits)
    ends = [match.end() for match in _SENTENCE_END.finditer(caption) if match.end() > len(caption) / 2]
    if ends and post.caption.strip() != caption:
        caption = caption[: ends[-1]].rstrip()
    if not caption and not tags and post.hashtags:
        # Of a single hashtag that is too long, the beginning is better than nothing.
        caption = cut(post.hashtags[0][: tokens * _CHARACTERS_A_TOKEN], caption_fits)
    return replace(post, caption=caption, hashtags=tags)
