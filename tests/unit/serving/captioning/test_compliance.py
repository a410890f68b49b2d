import pytest

from serving.captioning.compliance import find_violations
from serving.http.schemas import Options, Part
from snap2caption.post import Emoji, Length

VOICE = ["Coffee first, city second, everything else can wait.", "Fog is just shy weather."]


def notices(caption: str, **options: object) -> list[str]:
    asked = Options.model_validate(options)
    return [violation.notice for violation in find_violations(caption, asked, asked.request())]


def corrections(caption: str, **options: object) -> list[str]:
    asked = Options.model_validate(options)
    return [violation.correction for violation in find_violations(caption, asked, asked.request())]


def test_a_caption_as_requested_has_no_violation() -> None:
    assert notices("Any caption.") == []
    assert (
        notices(
            "Erst der Kaffee, dann der Nebel. ☕",
            language="German",
            length=Length.SHORT,
            emoji=Emoji.SOME,
            voice=VOICE,
            hint="mention the fog",
        )
        == []
    )


@pytest.mark.parametrize("language", ["de", "es", "fr", "it", "pt-BR", "nl", "ja"])
def test_english_instead_of_another_language(language: str) -> None:
    (correction,) = corrections("The best views come after the hardest climb.", language=language)
    assert correction.startswith("Write the whole caption in ")
    assert correction.endswith(f"{Options(language=language).request().language}.")


def test_length() -> None:
    assert corrections("One two three four five six seven eight nine ten eleven twelve thirteen.", length="short") == [
        "Write at most 12 words; your caption had 13."
    ]
    assert corrections("Only these five words here.", length="long") == ["Write at least 31 words; your caption had 5."]
    assert notices("Only these five words here.", length="medium") == [
        "has 5 words, fewer than expected of a medium one."
    ]
    assert notices("Fog.", length="short") == ["has 1 word, fewer than expected of a short one."]
    assert corrections("Fog.", length="short") == ["Write at least 3 words; your caption had 1."]
    assert corrections(" ".join(["word"] * 16), length="long") == []


def test_emoji() -> None:
    for wanted in ("some", "many"):
        assert corrections("No picture here.", emoji=wanted) == ["Use emoji in the caption."]
        assert corrections("Two pictures here 🌉🌁", emoji=wanted) == []
    assert corrections("A picture here 🌉", emoji="some") == []
    assert corrections("A picture here 🌉", emoji="many") == ["Use more than 3 emoji in the caption."]
    assert notices("A picture here 🌉", emoji="many") == ["has 1 emoji, although the model was asked for many."]
    assert corrections("No picture here.", emoji="none") == []


@pytest.mark.parametrize(
    "copy",
    [
        "Coffee first, city second, everything else can wait.",
        "coffee first, city second – everything else can wait ☕",
        "Coffee first, city second, everything else must wait.",
        "As I say: coffee first, city second, everything else can wait. Always.",
        "Fog is just shy weather!",
    ],
)
def test_copied_voice(copy: str) -> None:
    (notice,) = notices(copy, voice=VOICE)
    assert notice.startswith("is nearly the same as one of your captions")


@pytest.mark.parametrize(
    "own", ["Tea first, sea second.", "Coffee in one hand, the whole city in the other.", "Fog again. We love it."]
)
def test_a_caption_in_the_same_style_is_no_copy(own: str) -> None:
    assert notices(own, voice=VOICE) == []


def test_the_earlier_caption_repeated() -> None:
    again = {"regenerate": Part.CAPTION, "earlier_caption": "Sea lions, sea views, and a lot of noise."}
    assert corrections("Sea lions, sea views and lots of noise.", **again) == [
        "Write a caption that differs from the earlier one."
    ]
    assert corrections("The seals sleep and so do we.", **again) == []


def test_regenerated_hashtags_are_not_about_the_caption() -> None:
    again = {"regenerate": Part.HASHTAGS, "earlier_caption": "Fog.", "language": "de"}
    assert corrections("The best views come after the hardest climb.", **again) == []
