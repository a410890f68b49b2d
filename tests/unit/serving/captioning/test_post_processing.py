import pytest

from serving.captioning.post_processing import UNDESCRIBED, alt_text
from serving.http.schemas import Options, Variant

pytestmark = pytest.mark.unit


def described(description: str, *captions: str) -> str:
    variants = [Variant(caption=caption, hashtags=[]) for caption in captions or ("Fog.",)]
    return alt_text(description, variants, Options())


@pytest.mark.parametrize(
    ("description", "kept"),
    [
        ("A bridge.", "A bridge."),
        ("y" * 1000, "y" * 1000),
        ("y" * 1001, "y" * 999 + "…"),
        ("y" * 995 + "👩‍👩‍👧‍👦" + "y" * 9, "y" * 995 + "…"),
        ("A bridge. " + "word " * 300, "A bridge."),
        ("Fog. " * 300, ("Fog. " * 200).strip()),
        ("word " * 300, ("word " * 200).strip() + "…"),
    ],
)
def test_an_alt_text_ends_with_a_sentence_or_a_word(description: str, kept: str) -> None:
    assert described(description) == kept
    assert len(kept) <= 1000


@pytest.mark.parametrize(
    ("description", "caption"),
    [
        ("A red bridge over water.", "A red bridge, over water 🌉"),
        ("A red bridge over water.", "Look: a red bridge over water. Home."),
        ("A red bridge over water, in fog.", "A red bridge over water"),
    ],
)
def test_an_alt_text_does_not_repeat_a_caption(description: str, caption: str) -> None:
    assert described(description, caption) == described(description, "Fog.", caption) == UNDESCRIBED


def test_words_in_both_are_no_repetition() -> None:
    assert described("A red bridge in fog.", "Fog.", "In fog") == "A red bridge in fog."
