"""What is learned of a post that is longer than what is to be written.

A token here is a word or a sign, as most words are.
"""

import pytest
import regex as re
from hypothesis import given
from hypothesis import strategies as st

from snap2caption.datasets.shards import Sample
from snap2caption.errors import UserError
from snap2caption.post import Post, render
from training.data.posts import check_post, fits, shorten

pytestmark = pytest.mark.unit

LONG = " ".join(f"Sentence number {number} ends here." for number in range(1000))


def count(text: str) -> int:
    return len(re.findall(r"\w+|[^\w\s]", text))


def test_a_short_post_is_learned_as_it_is() -> None:
    post = Post("Fog over the bay. 🌁", ("fog", "bay"))
    assert shorten(post, 30, count) is post
    assert shorten(post, count(render(post)), count) is post


def test_a_long_caption_ends_with_a_sentence_and_hashtags() -> None:
    post = shorten(Post(LONG, ("fog", "bay")), 64, count)
    assert post.caption == "".join(LONG.partition("number 9 ends here.")[:2])
    assert post.hashtags == ("fog", "bay")


@pytest.mark.parametrize(
    ("caption", "kept"),
    [
        ("walking " * 500, "walking walking walking walking walking walking walking walking walking walking"),
        ("A. " + "walking " * 500, "A. walking walking walking walking walking walking walking walking"),
        ("霧。" * 500, "霧。霧。霧。霧。霧。"),
        ("One two three four five!” Six seven " * 9, "One two three four five!”"),
        ("Line one is here\nand here comes line two " * 9, "Line one is here\nand here comes line two Line"),
    ],
    ids=range(5),
)
def test_it_ends_with_a_word_where_no_sentence_ends_late_enough(caption: str, kept: str) -> None:
    assert shorten(Post(caption), 10, count).caption == kept


def test_hashtags_take_half_at_most_and_the_best_stay() -> None:
    tags = tuple(f"tag{number}" for number in range(2000))
    post = shorten(Post(LONG, tags), 64, count)
    assert post.hashtags == tags[:16]
    assert post.caption.endswith("ends here.")
    assert fits(render(post), 64, count)


def test_of_a_single_endless_word_the_beginning_is_learned() -> None:
    assert shorten(Post("", ("x" * 5000,)), 20, len) == Post("x" * 20)
    assert shorten(Post("x" * 5000), 20, len) == Post("x" * 20)


def test_most_posts_are_not_counted() -> None:
    assert fits("fog over the bay", 16, lambda _: pytest.fail("counted"))
    assert not fits("x" * 100_000, 16, lambda _: pytest.fail("counted"))


@given(st.text(max_size=300), st.lists(st.text(min_size=1, max_size=20), max_size=9), st.integers(4, 60))
def test_what_is_learned_fits_and_is_of_the_post(caption: str, tags: list[str], tokens: int) -> None:
    post = Post(caption, tuple(tags))
    learned = shorten(post, tokens, lambda text: len(text.encode()))
    assert len(render(learned).encode()) <= tokens
    assert learned.caption.strip() in render(post)
    assert post.hashtags[: len(learned.hashtags)] == learned.hashtags


@pytest.mark.parametrize(
    ("caption", "hashtags", "told"),
    [
        ("", (), "an empty post"),
        ("\u2063\u200d\u2800", (), "an empty post"),
        ("", ("", " "), "an empty post"),
        ("\u00ad", ("#",), "an empty post"),
        ("Fog.", ("fog", "\u200b"), "an empty hashtag"),
        ("", ("fog", ""), "an empty hashtag"),
    ],
    ids=range(6),
)
def test_what_nobody_sees_is_empty(caption: str, hashtags: tuple[str, ...], told: str) -> None:
    with pytest.raises(UserError, match=rf"Sample 'a' in shard train-000000.tar has {told}; make the dataset again"):
        check_post(Sample("a", "chicago", Post(caption, hashtags), b"", shard="train-000000.tar"))


@pytest.mark.parametrize(
    ("caption", "hashtags"), [("Fog.", ()), ("", ("fog",)), ("❤️", ()), ("\u2063Fog", ("fog",)), ("☁", ())], ids=range(5)
)
def test_what_is_seen_is_not(caption: str, hashtags: tuple[str, ...]) -> None:
    check_post(Sample("a", "chicago", Post(caption, hashtags), b""))
