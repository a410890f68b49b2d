import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snap2caption.post import Emoji, Length, Tone
from snap2caption.text.segmentation import find_emoji, find_words, fold, fold_words
from snap2caption.tone import infer_tone

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don’t MISS it! 🌉✨ #GoldenGate, café\n24/7", ["don't", "miss", "it", "goldengate", "café", "24", "7"]),
        ("it's it’s it`s it´s itʼs", ["it's"] * 5),
        ("Hawaiʻi rock'n'roll, 'tis the dogs'", ["hawai'i", "rock'n'roll", "tis", "the", "dogs"]),
        ("golden_hour _so_ ___ col·lecció", ["golden_hour", "so", "col·lecció"]),
        ("ﬁne ＦＵＬＬ Straße", ["fine", "full", "strasse"]),
        ("mo\u00adther \u200bun\u200bseen", ["mother", "unseen"]),
        ("दिन और दान", ["दिन", "और", "दान"]),
        ("தமிழ் বাংলা", ["தமிழ்", "বাংলা"]),
        ("می‌خواهم عَرَبِيّ", ["میخواهم", "عَرَبِيّ"]),
        ("안녕 하세요", ["안녕", "하세요"]),
        ("今天 iPhone手机 3日", ["今", "天", "iphone", "手", "机", "3", "日"]),
        ("コーヒーを", ["コ", "ー", "ヒ", "ー", "を"]),
        ("ｺｰﾋｰ々", ["コ", "ー", "ヒ", "ー", "々"]),
        ("สวัสดี", ["ส", "วั", "ส", "ดี"]),
        ("ສະບາຍດີ", ["ສ", "ະ", "ບ", "າ", "ຍ", "ດີ"]),
        ("ជំរាបសួរ", ["ជំ", "រា", "ប", "សួ", "រ"]),
        ("မြန်မာ", ["မြ", "န်", "မာ"]),
        ("1️⃣ ❤️#90s 🏴󠁧󠁢󠁷󠁬󠁳󠁿 🇺🇸", ["90s"]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert fold_words(text) == words


def test_words_are_found_as_they_are_written() -> None:
    assert find_words("It’s 'Mother\u00adland', not 日本!") == ["It’s", "Mother\u00adland", "not", "日", "本"]


@given(st.text())
def test_no_letter_is_lost_and_none_is_in_two_words(text: str) -> None:
    letters = [sign for sign in unicodedata.normalize("NFC", text) if sign.isalpha() and sign not in "ʼʻ"]
    found = "".join(find_words(unicodedata.normalize("NFC", text)))
    assert [sign for sign in found if sign.isalpha() and sign not in "ʼʻ"] == [
        sign for sign in letters if sign not in "\u115f\u1160\u3164\uffa0"
    ]


@given(st.text())
def test_folding_twice_changes_nothing_more(text: str) -> None:
    words = fold_words(text)
    assert fold_words(" ".join(words)) == words


@given(st.text(alphabet="abc ÄÖü!?.✨", min_size=1))
def test_a_repost_folds_to_the_same(text: str) -> None:
    assert fold(text) == fold(f"  {text.upper()}!! ") or not any(map(str.isalnum, text))


def test_texts_without_words_are_compared_by_their_signs() -> None:
    assert fold("❤️❤️") != fold("❤️") != fold("!")
    assert fold("Good MORNING ❤️") == fold("good morning!")


@pytest.mark.parametrize(
    "one",
    ["🇺🇸", "👨‍👩‍👧‍👦", "1️⃣", "#⃣", "👋🏽", "🏴󠁧󠁢󠁷󠁬󠁳󠁿", "❤️‍🔥", "❤", "©️", "🏽", "👩🏽‍🚀", "🏳️‍🌈", "☺️"],
)
def test_an_emoji_is_one(one: str) -> None:
    assert [match.group() for match in find_emoji(f"a{one}b {one}")] == [one, one]
    assert Emoji.of(one * 3) is Emoji.SOME


@pytest.mark.parametrize("text", ["© 2026 ™ №5", "♥︎", "🇺", "1 # *", "é", "½"])
def test_text_is_no_emoji(text: str) -> None:
    assert find_emoji(text) == []


def test_two_flags_are_two_and_one_is_one() -> None:
    prose = "We photographed the bridge at dawn to show how light shapes it"
    assert infer_tone(f"{prose} 🇺🇸") is Tone.PROFESSIONAL
    assert infer_tone(f"{prose} 👨‍👩‍👧") is Tone.PROFESSIONAL
    assert infer_tone(f"{prose} 🇺🇸🇫🇷") is Tone.PLAYFUL


def test_a_sentence_without_spaces_has_a_length_and_a_tone() -> None:
    sentence = "昨日は友達と一緒に公園へ行って、桜の写真をたくさん撮りました。"
    assert Length.of("桜の写真") is Length.SHORT
    assert Length.of(sentence) is Length.MEDIUM
    assert Length.of(sentence * 3) is Length.LONG
    assert infer_tone(sentence) is Tone.PROFESSIONAL
