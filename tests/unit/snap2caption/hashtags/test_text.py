import unicodedata

import pytest
import regex as re
from hypothesis import given
from hypothesis import strategies as st

from snap2caption.hashtags import extract, normalize, separate, unique

pytestmark = pytest.mark.unit

# Text in general seldom has a hashtag in it. This has many, and whatever may stand around or inside them.
TEXTS = st.text(st.sampled_from("#＃ab_1·é\u0301\n\t .•|&/;@-😀\u200b\u094dİßK\u2028ﬁ²①"), max_size=14) | st.text()

LETTERS = "aZéßñ東京夜ひカ서울שלוםعربيไทยहिन्दीİſΣ"
"""Of scripts with and without case, written in either direction, with and without spaces between words."""

MARKS = "\u0301\u094d\u0e31\u064e\u05b8"
WORDS = st.builds(
    "".join, st.tuples(st.text(LETTERS, min_size=1, max_size=4), st.text(LETTERS + MARKS + "09_", max_size=6))
)
# A lone ß would be two letters in its normal form alone.
TAGS = WORDS.filter(lambda word: len(unicodedata.normalize("NFC", word)) > 1 and normalize(word) is not None)
AROUND = st.sampled_from(
    ["", " ", "\n", "😀", "👨‍👩‍👧", "❤️", "🇺🇸", "(", "“", "、", "。", "،", "\u200f", "\u200b", "！"]
)


def words_of(text: str) -> list[str]:
    """Return what a reader calls words, as they compare."""
    words = re.findall(r"(?:(?![\uFE00-\uFE0F\u20E3])[\w\p{M}])+", unicodedata.normalize("NFC", text))
    return [normal_word(word) for word in words if re.search(r"[\p{L}\p{N}]", word)]


def normal_word(word: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", word).casefold())


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("we love #Chicago in June", ["chicago"]),
        ("#one#two #three", ["one", "two", "three"]),
        ("word#adjacent here", ["adjacent"]),
        ("#東京 の #夜景", ["東京", "夜景"]),
        ("#café #CAFÉ #cafe\u0301", ["café"]),
        ("number #1 is no hashtag, #2026 neither, #24hours is", ["24hours"]),
        ("a &#39; entity and a http://x.y/#anchor", []),
        ("＃fullwidth #emoji😀tail", ["fullwidth", "emoji"]),
        ("#हिन्दी #ไทย", ["हिन्दी", "ไทย"]),
        ("#a #_ #__ #··", []),
        ("#col·lecció #sf·#sun", ["col·lecció", "sf", "sun"]),
        ("##twice, me@#not", ["twice"]),
        ("❤️#90s 1️⃣#first #️⃣ #sun☀️#day #sea\ufe0f", ["90s", "first", "sun", "day", "sea"]),
    ],
)
def test_extract(text: str, tags: list[str]) -> None:
    assert extract(text) == tags


@pytest.mark.parametrize(
    ("text", "prose", "tags"),
    [
        ("Sunset! #sf #sunset", "Sunset!", ["sf", "sunset"]),
        ("We love #chicago in June", "We love chicago in June", ["chicago"]),
        ("Line one\n.\n.\n#a1 #b2\nlast", "Line one\nlast", ["a1", "b2"]),
        ("#only #tags", "", ["only", "tags"]),
        ("Line one #a1\n#b2 • #c3 •\nlast", "Line one\nlast", ["a1", "b2", "c3"]),
        ("We are #1", "We are #1", []),
        ("Golden hour | #sf • #sun", "Golden hour", ["sf", "sun"]),
        ("Golden hour. #sf", "Golden hour.", ["sf"]),
        ("With love ❤️#90s", "With love ❤️", ["90s"]),
        ("see http://x.y/#anchor", "see http://x.y/#anchor", []),
        ("", "", []),
    ],
)
def test_separate(text: str, prose: str, tags: list[str]) -> None:
    assert separate(text) == (prose, tags)


@given(TEXTS)
def test_normal_forms_are_stable_and_extractable(text: str) -> None:
    normal = normalize(text)
    if normal is not None:
        assert normalize(normal) == normal
        assert extract(f"#{normal}") == [normal]


@given(TEXTS)
def test_separating_leaves_no_hashtag_and_loses_none(text: str) -> None:
    prose, tags = separate(text)
    assert tags == extract(text)
    assert extract(prose) == []
    assert prose == prose.strip()
    assert separate(prose) == (prose, [])


@given(st.lists(st.text(max_size=8)))
def test_unique_is_idempotent(tags: list[str]) -> None:
    assert unique(unique(tags)) == unique(tags)


@given(TEXTS)
def test_every_extracted_tag_is_its_own_normal_form(text: str) -> None:
    tags = extract(text)
    assert [normalize(tag) for tag in tags] == tags
    assert len(set(tags)) == len(tags)


@given(TAGS, AROUND, AROUND)
def test_a_tag_of_any_script_is_found_between_anything(tag: str, before: str, after: str) -> None:
    assert extract(f"{before}#{tag}{after}") == [normalize(tag)]
    assert extract(f"{before}＃{tag}{after}") == [normalize(tag)]


@given(st.lists(TAGS, max_size=6))
def test_adjacent_tags_are_told_apart(tags: list[str]) -> None:
    assert extract("".join(f"#{tag}" for tag in tags)) == unique(tags)
    assert separate("".join(f"#{tag}" for tag in tags)) == ("", unique(tags))


@given(
    st.lists(WORDS, max_size=4), st.lists(TAGS, min_size=1, max_size=4), st.sampled_from([" ", " • ", "\n", "\n.\n"])
)
def test_tags_at_the_end_leave_the_prose_as_it_was(words: list[str], tags: list[str], between: str) -> None:
    prose = unicodedata.normalize("NFC", " ".join(words))
    assert separate(prose + between + between.join(f"#{tag}" for tag in tags)) == (prose, unique(tags))


@given(TEXTS | st.lists(WORDS | TAGS.map("#{}".format) | AROUND, max_size=8).map("".join))
def test_separating_loses_no_word_and_invents_none(text: str) -> None:
    prose, tags = separate(text)
    known = words_of(text)
    assert set(known) <= set(words_of(prose)) | {word for tag in tags for word in words_of(tag)}
    rest = iter(known)
    assert all(word in rest for word in words_of(prose)), "in their order"
