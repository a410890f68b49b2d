import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snap2caption.hashtags import extract
from snap2caption.post import MOST_CHARACTERS, Emoji, Length, Post, Request, Tone, build_prompt, parse, paste, render

pytestmark = pytest.mark.unit

words = st.text(string.ascii_lowercase + "éß日", min_size=2, max_size=8)
captions = st.lists(words, min_size=1, max_size=6).map(" ".join)


def test_a_prompt_names_only_what_was_asked_for():
    assert build_prompt(Request()) == "Write an Instagram caption and hashtags for this photo."
    whole = build_prompt(
        Request(
            tone=Tone.WITTY,
            location="Chicago",
            language="French",
            length=Length.SHORT,
            emoji=Emoji.NONE,
            voice=("one\n two", "three"),
            hint="the fog",
            earlier=Post("Before", ("lake",)),
        )
    )
    assert whole.splitlines()[1:] == [
        "Tone: witty.",
        "Length: short, at most 12 words.",
        "Emoji: none.",
        "Language: French.",
        "Place: Chicago.",
        "Write as in these captions of mine:",
        "- one two",
        "- three",
        "Write something else than: Before #lake",
        "Wish: the fog",
    ]


def test_a_post_is_its_caption_and_a_line_of_hashtags():
    assert render(Post(" By the lake ", ("chicago", "lake"))) == "By the lake\n#chicago #lake"
    assert render(Post("By the lake")) == "By the lake"
    assert render(Post("", ("lake",))) == "#lake"


def test_what_a_model_wrote_is_cleaned():
    assert parse("We love #Chicago  in June\n#Lake #lake #sun") == Post(
        "We love Chicago in June", ("chicago", "lake", "sun")
    )


@given(captions, st.lists(words.map(str.casefold), unique=True, max_size=5))
def test_what_is_rendered_reads_back(caption, tags):
    assert parse(render(Post(caption, tuple(tags)))) == Post(caption, tuple(tags))


@pytest.mark.parametrize(
    ("words", "length"),
    [(1, Length.SHORT), (12, Length.SHORT), (13, Length.MEDIUM), (31, Length.LONG), (99, Length.LONG)],
)
def test_a_caption_has_a_length(words, length):
    assert Length.of("it's " * words + "✨ !") is length


@pytest.mark.parametrize(
    ("caption", "emoji"),
    [("none ©", Emoji.NONE), ("one 👩🏽‍🚀", Emoji.SOME), ("🇺🇸🎉✨", Emoji.SOME), ("🎉🎉🎉🎉", Emoji.MANY)],
)
def test_a_caption_has_emoji(caption, emoji):
    assert Emoji.of(caption) is emoji


def test_the_paste_ready_post_has_the_five_best_hashtags() -> None:
    tags = tuple(f"tag{number}" for number in range(8))
    assert paste(Post("Fog,\nthen ferry.", tags)) == "Fog,\nthen ferry.\n\n#tag0 #tag1 #tag2 #tag3 #tag4"
    assert paste(Post("Fog.")) == "Fog."


def test_hashtags_of_the_caption_count_and_are_not_repeated() -> None:
    assert (
        paste(Post("#Fog in #SF", ("fog", "ferry", "sf", "bay", "dawn", "pier"))) == "#Fog in #SF\n\n#ferry #bay #dawn"
    )
    six = "#one1 #two2 #three3 #four4 #five5 #six6"
    assert paste(Post(six, ("seven",))) == six


@pytest.mark.parametrize(("length", "kept"), [(2193, 1), (2194, 0), (2200, 0), (2300, 0)])
def test_a_post_is_as_long_as_instagram_takes_it(length: int, kept: int) -> None:
    post = paste(Post("x" * length, ("dusk", "dawn")))
    assert len(post) <= max(length, MOST_CHARACTERS)
    assert len(extract(post)) == kept
