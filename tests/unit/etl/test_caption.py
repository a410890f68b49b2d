import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.transform.caption import clean, fingerprint
from snap2caption.hashtags import extract

pytestmark = pytest.mark.unit

TEXTS = st.lists(st.sampled_from([*"#ab_1·\n .,•&/:@\u0301\u200b😀ﬁß", "http://", "www.", "x.co", "#ab", "@cd"])).map(
    "".join
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
