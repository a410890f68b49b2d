import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.transform.caption import clean, fingerprint
from snap2caption.hashtags import extract, normalise

pytestmark = pytest.mark.unit

TEXTS = st.lists(st.sampled_from([*"#ab_1·\n .,•&/:@\u0301\u200b😀ﬁß", "http://", "www.", "x.co", "#ab", "@cd"])).map(
    "".join
)

# Words that nothing is to be cleaned from, emoji among them.
PLAIN = st.lists(
    st.text("aZéß東京서שלעرहि", min_size=1, max_size=6).map(lambda word: unicodedata.normalize("NFC", word))
    | st.sampled_from(["❤️", "👨‍👩‍👧", "🇺🇸", "5", "don’t", "¡sí!", "e-mail", "3.5"]),
    min_size=1,
    max_size=6,
)
RUBBISH = st.sampled_from(
    [
        "https://x.co/a?b=c#d",
        "www.x.co",
        "HTTP://X",
        "@some.one",
        "@a@b",
        "\u200b",
        "\u202e",
        "\u2067",
        "\x00",
        "\x7f",
        "\ufeff",
        "\t",
        "  ",
    ]
)


@pytest.mark.parametrize(
    ("text", "caption", "tags"),
    [
        ("  Golden   hour\t✨  \n\n #SF ", "Golden hour ✨", ["sf"]),
        ("thanks @some.one_ for this https://example.com/a?b=c !", "thanks for this!", []),
        ("mail me@example.com @ noon", "mail me@example.com @ noon", []),
        ("evil \u202etxet\u202c zero\u200bwidth", "evil txet zerowidth", []),
        ("family 👨‍👩‍👧 stays", "family 👨‍👩‍👧 stays", []),
        ("www.site.com only", "only", []),
        ("bio:https://x.co and seehttp://x.co/y", "bio: and see", []),
        ("Caf\x80 \u061cok", "Caf ok", []),
        ("with @one@two and http:// .", "with and.", []),
        ("\ufeffmarked", "marked", []),
        ("@everyone", "", []),
    ],
)
def test_clean(text: str, caption: str, tags: list[str]) -> None:
    assert clean(text) == (caption, tags)


@given(st.text() | TEXTS)
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    caption, _ = clean(text)
    again, tags = clean(caption)
    assert tags == []
    assert again == caption
    assert extract(caption) == []


@given(st.text(alphabet="abc ÄÖü!?.✨", min_size=1))
def test_a_repost_has_the_same_fingerprint(text: str) -> None:
    assert fingerprint(text) == fingerprint(f"  {text.upper()}!! ") or not any(map(str.isalnum, text))


@given(PLAIN)
def test_what_is_clean_stays_as_it_is(words: list[str]) -> None:
    assert clean(" ".join(words)) == (" ".join(words), [])


@given(PLAIN, st.data())
def test_rubbish_between_words_goes_and_the_words_stay(words: list[str], data) -> None:
    parts = [part for word in words for part in (data.draw(RUBBISH), word)]
    assert clean(" ".join([*parts, data.draw(RUBBISH)])) == (" ".join(words), [])


@given(st.text() | TEXTS)
def test_what_is_cleaned_is_tidy(text: str) -> None:
    caption, tags = clean(text)
    assert [normalise(tag) for tag in tags] == tags
    assert caption == unicodedata.normalize("NFC", caption)
    for line in caption.split("\n"):
        assert line == " ".join(line.split())
    assert not any(unicodedata.category(char) == "Cc" for char in caption.replace("\n", ""))
    assert not set(caption) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    assert "http://" not in caption.lower()


@given(PLAIN, st.lists(RUBBISH, max_size=3))
def test_a_repost_with_a_link_or_mention_has_the_same_fingerprint(words: list[str], rubbish: list[str]) -> None:
    original, _ = clean(" ".join(words))
    repost, _ = clean(" ".join([*rubbish, *words, *rubbish]))
    assert fingerprint(repost) == fingerprint(original)
