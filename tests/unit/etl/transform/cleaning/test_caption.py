import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from etl.transform.cleaning.caption import clean
from snap2caption.hashtags import extract, normalize
from snap2caption.text.segmentation import fold

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
        ("@yukiちゃんと自由の女神を見た", "ちゃんと自由の女神を見た", []),
        ("和 @xiaoming一起在时代广场看日落太美了", "和 一起在时代广场看日落太美了", []),
        ("今日は海へ行った #夏 #봄", "今日は海へ行った", ["夏", "봄"]),
        ("दिल्ली में शाम #दिल्ली #भारत", "दिल्ली में शाम", ["दिल्ली", "भारत"]),
        ("写真は@tokyo_campさんです", "写真はさんです", []),
        ("사진은 @cafe.k에서", "사진은 에서", []),
        ("@josé and @müller, at @home", "@josé and @müller, at", []),
        ("lunch (photo @some.one), good", "lunch (photo), good", []),
        ("詳細はhttps://example.com/abcを見てください。楽しかった", "詳細はを見てください。楽しかった", []),
        ("見てwww.x.coを", "見てを", []),
        ("링크 https://x.co/a에서 보세요", "링크 에서 보세요", []),
        ("сайт https://пример.рф/путь тут", "сайт тут", []),
        ("go to https://x.co/café?é=1, now", "go to, now", []),
        ("Magnifique ! Vraiment : oui ? « Oui » !", "Magnifique ! Vraiment : oui ? « Oui » !", []),
        ("R&amp;B &lt;3 &quot;fog&quot; &#39;til &amp;amp; 5 AT&T", 'R&B <3 "fog" \'til & 5 AT&T', []),
        ("soft­ly in⁣vis͏ible", "softly invisible", []),
        ("one\n⠀\ntwo⠀three", "one\ntwo three", []),
        ("🏴󠁧󠁢󠁷󠁬󠁳󠁿 ❤️ નું ক্ষ نمی‌خواهم", "🏴󠁧󠁢󠁷󠁬󠁳󠁿 ❤️ નું ক্ষ نمی‌خواهم", []),
    ],
)
def test_clean(text: str, caption: str, tags: list[str]) -> None:
    assert clean(text) == (caption, tags)


INVISIBLE = (
    "\u2800\n\u2800\n#nyc", "\u2063\n\u2063", "\u200d", "\u00ad", "\u3164", "\uffa0\u115f\u1160", "\ufe0f\u200c", "\U000e0041",
    "\u180e\u034f", "&nbsp;&#8203;", "\u00a0\u2003\u3000", "\U0001d159", "\u206a\ufff9", "\u17b4", "\U000e0100",
)  # fmt: skip


@pytest.mark.parametrize("text", INVISIBLE)
def test_a_caption_that_nobody_can_see_is_empty(text: str) -> None:
    assert clean(text)[0] == ""


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "mac-roman", "cp437"])
@pytest.mark.parametrize("meant", ["Ça va à la plage, déjà été", "It’s 😂 time — wow", "São Paulo, Größe"])
def test_mojibake_is_undone(meant: str, encoding: str) -> None:
    try:
        broken = meant.encode().decode(encoding)
    except UnicodeDecodeError:
        pytest.skip("some of its bytes are no characters there")
    assert clean(broken)[0] == meant
    assert clean(meant)[0] == meant


def test_mojibake_twice_over_is_undone() -> None:
    assert clean("sÃÂ£o paulo")[0] == "são paulo"


@pytest.mark.parametrize("layer", ["amp;", "#38;", "#x26;"])
def test_layers_of_entities_are_taken_off(layer: str) -> None:
    assert clean(f"fog &{layer * 12} sun") == ("fog & sun", [])


@pytest.mark.parametrize("layer", ["amp;", "#38;", "#x26;"])
def test_what_hides_under_thousands_of_layers_is_refused(layer: str) -> None:
    # A pass over all of it for each of its layers, to find that, would take a quarter of a minute.
    assert clean(f"fog &{layer * 16_000} sun") == ("", [])
    assert clean(f"fog &{f'&{layer}' * 10_000} sun")[0].startswith("fog &&&")


@pytest.mark.parametrize("blank", [" ", "\t", "&nbsp;", "&#9;"])
def test_blanks_without_end_beside_a_sign_take_no_time(blank: str) -> None:
    # Looked at from each of them to the end, they would take a quarter of an hour.
    assert clean(f"fog @{blank * 60_000}sun") == ("fog @ sun", [])


@given(st.text() | TEXTS)
@example("Ü\x08¯")  # mojibake only once the control character is gone
@example("ﬁ•#0A:")  # only once the sign of the hashtag is gone
@example("ﬁ @you •0A:")
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    caption, _ = clean(text)
    again, tags = clean(caption)
    assert tags == []
    assert again == caption
    assert extract(caption) == []


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
    assert [normalize(tag) for tag in tags] == tags
    assert caption == unicodedata.normalize("NFC", caption)
    for line in caption.split("\n"):
        assert line == " ".join(line.split())
    assert not any(unicodedata.category(char) == "Cc" for char in caption.replace("\n", ""))
    assert not set(caption) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    assert "http://" not in caption.lower()


@given(PLAIN, st.lists(RUBBISH, max_size=3))
def test_a_repost_with_a_link_or_mention_says_the_same(words: list[str], rubbish: list[str]) -> None:
    original, _ = clean(" ".join(words))
    repost, _ = clean(" ".join([*rubbish, *words, *rubbish]))
    assert fold(repost) == fold(original)
