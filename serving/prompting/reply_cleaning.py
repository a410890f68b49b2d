"""Cleaning of model replies: from what instruct models write around a caption to the post format."""

import unicodedata

from serving.prompting import reply_phrases as phrases
from serving.prompting.hashtag_list import read_hashtag_list, split_hashtags, without_closing_signs
from serving.prompting.json_reply import START, read_json
from serving.prompting.reply_markup import without_markdown, without_tokens
from serving.prompting.reply_reader import FROM_HASHTAG, ReplyReader, State
from snap2caption.hashtags import unique
from snap2caption.post import Post, parse, render
from snap2caption.text.segmentation import find_emoji

_MOST_CHARACTERS = 20_000
"""The characters of a reply that are read. No post is as long."""


def clean(reply: str, *, finished: bool) -> str:
    """Return a reply in the post format (`snap2caption.post.render`); empty if the model refused.

    While the reply is not *finished*, only the beginning of the caption is returned that no further text changes.
    """
    text = without_tokens(unicodedata.normalize("NFC", reply[:_MOST_CHARACTERS]), finished=finished)
    text = without_closing_signs(text)
    reader = ReplyReader()
    lines = text.split("\n")
    for number, line in enumerate(lines):
        grows = not finished and number == len(lines) - 1
        if reader.state is State.BEFORE and line.lstrip()[:1] in ("{", "[", "`"):
            rest = "\n".join(lines[number:])
            if start := START.match(rest, partial=not finished):
                return "" if start.partial else _clean_json(rest, finished=finished)
        reader.read(line, grows=grows)
        if reader.state is State.DONE:
            break
    return reader.whole() if finished else reader.so_far()


def clean_description(reply: str) -> str:
    """Return a reply to the question for the alt text as one line without hashtags and emoji; empty for a refusal."""
    text = without_tokens(reply[:_MOST_CHARACTERS], finished=True).lstrip()
    text = without_markdown(text.partition("\n")[0], finished=True) + "\n" + text.partition("\n")[2]
    caption = parse(clean(phrases.DESCRIPTION.sub("", text, count=1), finished=True)).caption
    for emoji in reversed(find_emoji(caption)):
        caption = caption[: emoji.start()] + caption[emoji.end() :]
    return " ".join(caption.split())


def _clean_json(text: str, *, finished: bool) -> str:
    found = read_json(text)
    post = clean(found.caption, finished=finished or found.is_caption_complete)
    if not finished:
        return str(FROM_HASHTAG.sub("", post))
    caption, tags = split_hashtags(post)
    listed = [tag for entry in found.hashtags for tag in read_hashtag_list(entry)]
    return render(Post(caption, tuple(unique([*listed, *tags]))))
