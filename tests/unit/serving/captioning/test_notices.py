from collections.abc import Callable
from dataclasses import replace

import pytest

from serving.captioning.notices import find_notices
from serving.captioning.post_processing import UNDESCRIBED
from serving.http.schemas import Options, Part, Variant
from serving.models.served_model import ServedModel
from snap2caption.registry.model_card import NO_CARD, ModelCard

Ask = Callable[..., list[str]]

pytestmark = pytest.mark.unit


def variant(caption: str = "Fog.", hashtags: int = 8) -> Variant:
    return Variant(caption=caption, hashtags=[f"#tag{number}" for number in range(hashtags)])


TUNED = ModelCard(frozenset({"en"}), instruction_tuned=True)
PRETRAINED = ModelCard(frozenset({"en"}), instruction_tuned=False)


@pytest.fixture
def notices(served: ServedModel) -> Callable[..., list[str]]:
    def ask(
        options: Options,
        *variants: Variant,
        usable: bool = True,
        card: ModelCard = NO_CARD,
        prompts: str = "",
        alt_text: str = "A bridge.",
        has_corpus: bool = True,
    ) -> list[str]:
        model = replace(served, card=card, version=replace(served.version, prompts=prompts))
        return find_notices(
            options, options.request(), model, variants, [alt_text], usable=usable, has_corpus=has_corpus
        )

    return ask


def test_what_was_done_as_asked_needs_no_notice(notices: Ask) -> None:
    assert notices(Options(), variant()) == []
    # Only the hashtags are regenerated, so one caption is what was asked for.
    again = Options(regenerate=Part.HASHTAGS, earlier_caption="Fog.", variants=3)
    assert notices(again, variant(), card=PRETRAINED) == []


def test_every_answer_tells_what_the_base_is_limited_to(notices: Ask) -> None:
    limited = ModelCard(limitations="It knows only scenes.")
    hashtags = Options(regenerate=Part.HASHTAGS, earlier_caption="Fog.")
    for options in (Options(), hashtags):
        assert notices(options, variant(), card=limited) == ["It knows only scenes."]


def test_what_the_model_never_learned_is_told(notices: Ask) -> None:
    asked = Options(language="de", voice=["Coffee first."], hint="the fog")
    assert notices(asked, variant(), card=PRETRAINED, prompts="length,tone") == [
        "The model was trained only in English, so the caption may not be in German.",
        "The model was not trained with voices, so it follows only the tone of yours.",
        "The model was not trained with hints, so the caption may not follow yours.",
    ]
    assert notices(asked, variant(), card=PRETRAINED, prompts="hint,voice") == notices(asked, variant(), card=TUNED)
    # Nothing is claimed about a model without a card.
    assert notices(asked, variant(), card=NO_CARD) == []
    assert notices(Options(language="en-GB"), variant(), card=PRETRAINED) == []


def test_a_language_without_a_list_of_profanity_is_told(notices: Ask) -> None:
    assert notices(Options(language="Basque"), variant()) == [
        "There is no list of profanity in Basque: only English words are checked."
    ]


def test_fewer_than_asked_for_is_told(notices: Ask) -> None:
    assert notices(Options(variants=3), variant(), variant("Ferry.")) == [
        "The answer has 2 of 3 variants: the others repeat a caption, or are not safe to publish."
    ]
    assert notices(Options(hashtags=10), variant(hashtags=4)) == [
        "The post has 4 of 10 hashtags: no others suit the post."
    ]


def test_without_a_corpus_one_notice_tells_about_hashtags(notices: Ask) -> None:
    assert notices(Options(hashtags=10), variant(hashtags=4), has_corpus=False) == [
        "The post has 4 of 10 hashtags: without a corpus, they come only from the model and the place."
    ]
    assert notices(Options(hashtags=4), variant(hashtags=4), has_corpus=False) == [
        "There is no corpus of hashtags, so they come only from the model and the place."
    ]
    kept = Options(regenerate=Part.CAPTION, earlier_caption="Fog.", hashtags=10)
    assert notices(kept, variant(hashtags=4), has_corpus=False) == []


def test_a_caption_that_the_model_did_not_write_is_told(notices: Ask) -> None:
    (told,) = notices(Options(), variant(), usable=False)
    assert "described in plain words" in told


def test_what_instagram_does_not_take_is_told(notices: Ask) -> None:
    again = Options(regenerate=Part.HASHTAGS, earlier_caption="Fog")
    assert "leaves out some hashtags" in notices(again, variant("x" * 2195))[0]
    assert "leaves out some hashtags" in notices(again, variant("#one1 #two2"))[0]
    assert "shorten it" in notices(again, variant("x" * 2201))[0]
    assert notices(again, variant("We love #Tag0 and #tag1")) == []


def test_a_caption_of_another_place_than_the_creators_is_told(notices: Ask) -> None:
    (told,) = notices(Options(location="Tokyo"), variant("Fog over San Francisco."))
    assert "another place than Tokyo" in told
    for location, caption in (("Tokyo", "Fog."), ("Pier 39", "Fog over San Francisco."), ("USA", "Chicago.")):
        assert notices(Options(location=location), variant(caption)) == []


def test_a_photo_without_an_alt_text_is_told(notices: Ask) -> None:
    (told,) = notices(Options(), variant(), alt_text=UNDESCRIBED)
    assert "no alt text" in told
