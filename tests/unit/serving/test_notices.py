import pytest

from serving.notices import find_notices
from serving.schemas import Options, Part, Variant

pytestmark = pytest.mark.unit


def variant(caption: str = "Fog.", hashtags: int = 8) -> Variant:
    return Variant(caption=caption, hashtags=[f"#tag{number}" for number in range(hashtags)])


def notices(options: Options, *variants: Variant, usable: bool = True) -> list[str]:
    return find_notices(options, variants, usable=usable)


def test_what_was_done_as_asked_needs_no_notice() -> None:
    assert notices(Options(), variant()) == []
    # One caption serves all, as asked.
    again = Options(regenerate=Part.HASHTAGS, earlier_caption="Fog.", variants=3)
    assert notices(again, variant()) == []


def test_fewer_than_asked_for_is_told() -> None:
    assert notices(Options(variants=3), variant(), variant("Ferry.")) == [
        "There are 2 of 3 variants: the others repeated these, or were not fit to be posted."
    ]
    assert notices(Options(hashtags=10), variant(hashtags=4)) == ["There are 4 of 10 hashtags: no more suit the post."]


def test_a_caption_that_the_model_did_not_write_is_told() -> None:
    (told,) = notices(Options(), variant(), usable=False)
    assert "described in plain words" in told


def test_what_instagram_does_not_take_is_told() -> None:
    again = Options(regenerate=Part.HASHTAGS, earlier_caption="Fog")
    assert "leaves hashtags off" in notices(again, variant("x" * 2195))[0]
    assert "leaves hashtags off" in notices(again, variant("#one1 #two2"))[0]
    assert "shorten it" in notices(again, variant("x" * 2201))[0]
    assert notices(again, variant("We love #Tag0 and #tag1")) == []
