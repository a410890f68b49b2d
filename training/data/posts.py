"""Target posts: non-empty checks, and truncation to a token limit."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import replace

import regex as re

from snap2caption.datasets.shards import Sample
from snap2caption.errors import UserError
from snap2caption.post import Post, render
from snap2caption.text.invisible_characters import is_seen
from snap2caption.text.truncation import cut

_CHARACTERS_PER_TOKEN = 64
"""Upper bound of the average number of characters per token. Text beyond it is not tokenized."""

_SENTENCE_END = re.compile(r"[.!?…。！？]+[\"'”’»)\]]*(?=\s|$)|[。！？]|\n")


def check_post(sample: Sample) -> None:
    """Check that *sample*'s post has visible words or hashtags.

    Raises:
        UserError: it has none, or one of its hashtags is empty.
    """
    tags = [is_seen(tag.strip("#＃")) for tag in sample.post.hashtags]
    if all(tags) and (tags or is_seen(sample.post.caption)):
        return
    empty = "an empty hashtag" if any(tags) or is_seen(sample.post.caption) else "an empty post"
    raise UserError(
        f"Sample {sample.id!r} in shard {sample.shard} has {empty}; make the dataset again with `transform`."
    )


def fits(text: str, tokens: int, count: Callable[[str], int]) -> bool:
    """Return whether *text* has at most *tokens* tokens, as counted by *count*."""
    # A token is at least one byte, so most posts are short enough without counting.
    return len(text.encode()) <= tokens or (len(text) <= tokens * _CHARACTERS_PER_TOKEN and count(text) <= tokens)


def shorten(post: Post, tokens: int, count: Callable[[str], int]) -> Post:
    """Return *post*, shortened to at most *tokens* tokens when rendered.

    A post that is too long loses the end of its caption, back to the end of a sentence, or to the end of a word if
    no sentence ends in the second half of what would fit. It keeps its hashtags, as far as they take at most half
    of the tokens.

    Trainers usually truncate a sequence that is too long (TRL, LLaVA's own), and so lose its end: here the hashtags
    and the end token. A model that never saw them after a long caption would write on until it is stopped. Dropping
    the sample (Axolotl) would lose its photo, and change the length of a stream.
    """
    if fits(render(post), tokens, count):
        return post

    def caption_fits(caption: str) -> bool:
        return fits(render(replace(post, caption=caption, hashtags=tags)), tokens, count)

    def are_too_many(number: int) -> bool:
        return not fits(render(Post("", post.hashtags[:number])), tokens // 2, count)

    # Zero hashtags always fit.
    tags = post.hashtags[: bisect_left(range(len(post.hashtags) + 1), True, key=are_too_many) - 1]
    caption = cut(post.caption.strip()[: tokens * _CHARACTERS_PER_TOKEN], caption_fits)
    ends = [match.end() for match in _SENTENCE_END.finditer(caption) if match.end() > len(caption) / 2]
    if ends and post.caption.strip() != caption:
        caption = caption[: ends[-1]].rstrip()
    if not caption and not tags and post.hashtags:
        # If even one hashtag is too long, its beginning is better than nothing.
        caption = cut(post.hashtags[0][: tokens * _CHARACTERS_PER_TOKEN], caption_fits)
    return replace(post, caption=caption, hashtags=tags)
