import pytest
from hypothesis import given
from hypothesis import strategies as st

from snap2caption.hashtags import extract, normalise, separate, unique

pytestmark = pytest.mark.unit

# Text in general seldom has a hashtag in it. This has many, and whatever may stand around or inside them.
TEXTS = st.text(st.sampled_from("#＃ab_1·é\u0301\n\t .•|&/;@-😀\u200b\u094dİßK\u2028ﬁ²①"), max_size=14) | st.text()


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
        ("see http://x.y/#anchor", "see http://x.y/#anchor", []),
        ("", "", []),
    ],
)
def test_separate(text: str, prose: str, tags: list[str]) -> None:
    assert separate(text) == (prose, tags)


@given(TEXTS)
def test_normal_forms_are_stable_and_extractable(text: str) -> None:
    normal = normalise(text)
    if normal is not None:
        assert normalise(normal) == normal
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
