"""Instagram data export of a synthetic creator, laid out and encoded as Instagram writes them."""

import json
import zipfile
from pathlib import Path

from demo.corpus.creator import Habit, make_post
from demo.corpus.drafts import open_draft
from snap2caption.datasets.corpus_members import CorpusMember, write_member

_LIST = "your_instagram_activity/media/posts_1.json"
_FIRST_POST = 1_700_000_000
"""When the first post was published, in seconds since 1970. The others follow a day apart."""
_DAY = 86_400


def write_export(out: Path, posts: int, seed: int, habit: Habit = Habit.SIGN_OFF) -> Path:
    """Write *posts* of the creator of *seed* with *habit* to the zip *out*, which appears whole or not at all, and return its path.

    Raises:
        UserError: *out* can't be written.
    """
    with open_draft(out, "export") as draft:
        _write(draft, posts, seed, habit)
        draft.replace(out)
    return out


def _write(out: Path, posts: int, seed: int, habit: Habit) -> None:
    listed = []
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(posts):
            post = make_post(seed, number, habit)
            uri = f"media/posts/{post.id}.jpg"
            write_member(archive, CorpusMember(uri, post.image))
            # Instagram writes each byte of UTF-8 as a character of its own.
            title = post.caption.decode("latin-1")
            published = _FIRST_POST + number * _DAY
            listed.append({"media": [{"uri": uri, "creation_timestamp": published, "title": title}]})
        write_member(archive, CorpusMember(_LIST, json.dumps(listed).encode()))
