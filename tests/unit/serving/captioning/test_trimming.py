import pytest

from serving.captioning.trimming import trim
from snap2caption.post import Emoji, Length

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("caption", "bare"),
    [
        ("Golden hour ✨ in the fog 🌁!", "Golden hour in the fog!"),
        ("👩🏽‍🚀 up", "up"),
        ("flags 🇺🇸🇫🇷", "flags"),
        ("1️⃣ and 10", "and 10"),
        ("© 2026 Café №5 ™ ©️", "© 2026 Café №5 ™"),
        ("نمی‌خواهم क्‍ष", "نمی‌خواهم क्‍ष"),
        ("❤️‍🔥", ""),
    ],
)
def test_none_is_none(caption: str, bare: str) -> None:
    assert trim(caption, None, Emoji.NONE) == bare


def test_some_is_three_at_most() -> None:
    assert trim("a ✨ b 🌁 c 🎉 d 🤩", None, Emoji.SOME) == "a ✨ b 🌁 c 🎉 d"
    assert trim("a ✨ b 🌁 c 🎉 d 🤩", None, Emoji.MANY) == "a ✨ b 🌁 c 🎉 d 🤩"


def test_whole_sentences_go_and_the_first_one_stays() -> None:
    long = "one two three four five six seven eight nine ten eleven twelve thirteen."
    assert trim(f"{long} More.", Length.SHORT, None) == long
    assert trim("One two. Three four!\nFive six. " + long, Length.SHORT, None) == "One two. Three four!\nFive six."
    assert trim("No end at all", Length.SHORT, None) == "No end at all"
    assert trim(f"{long} More.", Length.LONG, None) == f"{long} More."


@pytest.mark.parametrize(
    ("caption", "finished"),
    [
        ("Midday rain. # #", "Midday rain."),
        ("Midday rain.\n##", "Midday rain."),
        ("#", ""),
        ("We are # 1 here", "We are # 1 here"),
        ("A C# song", "A C# song"),
    ],
)
def test_hash_signs_without_a_word_do_not_end_a_caption(caption: str, finished: str) -> None:
    assert trim(caption, None, None) == finished
