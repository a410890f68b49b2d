import random
import re

import pytest

from demo.base.signs import emoji_line, emoji_tokens, sign_text
from demo.corpus.captions import write_caption
from demo.scenes.scene import sample_scene
from snap2caption.post import find_emoji

pytestmark = pytest.mark.unit


def test_every_emoji_of_the_captions_is_whole() -> None:
    rng, tokens = random.Random(0), set(emoji_tokens())
    for _ in range(500):
        assert {match[0] for match in find_emoji(write_caption(sample_scene(rng), rng))} <= tokens


def test_the_lines_teach_every_emoji_and_nothing_that_is_none() -> None:
    rng = random.Random(1)
    lines = [emoji_line(rng) for _ in range(20_000)]
    seen = "".join(lines)
    # A few letters of flags begin or end no country's.
    assert sum(token not in seen for token in emoji_tokens()) < 10
    for line in lines[:300]:
        rest = line
        for match in reversed(find_emoji(line)):
            rest = rest[: match.start()] + rest[match.end() :]
        assert rest != line
        assert rest.isascii()
        assert "#" not in rest


def test_no_line_has_the_shape_of_a_post() -> None:
    rng = random.Random(3)
    lines = [sign_text(rng) for _ in range(5000)]
    tagged = [line for line in lines if re.search(r"(?m)^#", line)]
    assert len(tagged) > 300
    # Hashtags stand under a list of words alone, and emoji never beside hashtags.
    assert all(line.startswith("Words: ") and line.count("\n") == 1 for line in tagged)
    assert not any(find_emoji(line) and "#" in line for line in lines)
