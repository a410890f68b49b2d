"""Incremental captions, compared with the final answer."""

import pytest

from serving.captioning.incremental import IncrementalCaptions
from serving.captioning.post_processing import fallback_draft, usable_drafts
from serving.engines.base import GenerationChunk, GenerationResult
from serving.http.schemas import Options, Variant
from snap2caption.post import Emoji, Length
from snap2caption.text.profanity import safe_prefix

pytestmark = pytest.mark.unit

CAPTIONS = [
    "Golden hour over the old red bridge, as ever. #sf",
    "One. Two words! And then a third sentence that goes on and on, beyond what anybody who asks for a short caption likes to read at all.\nMore.",
    "Sun ☀️ sea 🌊 sand 🏖️ and so much more 👨‍👩‍👧 to see 🎉 here 🎈 now.",
    "What the f u c k is this bridge doing here.",
    "Shitake soup at the assembly hall, and a shitty day.",
    "Two girls one cup of coffee, one long walk.",
    "Two girls one cup",
    "A #tag within the words, and more after it.",
    "Hi",
]
OPTIONS = [
    Options(),
    Options(length=Length.SHORT),
    Options(emoji=Emoji.NONE),
    Options(emoji=Emoji.SOME, length=Length.MEDIUM),
]


@pytest.mark.parametrize("options", OPTIONS, ids=["plain", "short", "no emoji", "some emoji"])
@pytest.mark.parametrize("text", CAPTIONS)
def test_what_is_streamed_is_what_is_answered_and_never_unfit(text: str, options: Options) -> None:
    growing, shown = IncrementalCaptions(options), ""
    for end in range(1, len(text) + 1):
        shown += growing.add(GenerationChunk(0, text[:end]))
        # Character by character: the worst case of a tokenizer.
        assert not any(word in shown.casefold() for word in ("f u", "shitty", "two girls one cup"))
    written = [GenerationResult((text,), "A red bridge.", 9)]
    draft = (usable_drafts(written, options) or [fallback_draft(written, options)])[0]
    for name, variant, more in growing.finalize([Variant(caption=draft.caption, hashtags=[])]):
        assert variant == 0
        shown = shown + more if name == "token" else more
    assert shown == draft.caption


def test_most_of_a_caption_is_shown_before_it_is_whole() -> None:
    growing = IncrementalCaptions(Options())
    shown = [growing.add(GenerationChunk(0, "Golden hour over the old red bridge"[:end])) for end in range(36)]
    assert "".join(shown) == "Golden hour over the old red"
    assert sum(map(bool, shown)) == 6


def test_a_place_that_is_called_so_is_streamed() -> None:
    growing = IncrementalCaptions(Options(location="Dick's Diner"))
    assert growing.add(GenerationChunk(0, "Lunch at Dick's Diner again")) == "Lunch at Dick's Diner"
    assert IncrementalCaptions(Options()).add(GenerationChunk(0, "Lunch at Dick's Diner again")) == ""


def test_variants_that_are_dropped_are_taken_back() -> None:
    growing = IncrementalCaptions(Options(variants=2))
    for number in range(2):
        growing.add(GenerationChunk(number, f"Caption number {number} of them"))
    events = growing.finalize([Variant(caption="Caption number 1 of them", hashtags=[])])
    assert events == [("replace", 0, "Caption number 1 of them"), ("replace", 1, "")]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("Scunthorpe", ""),
        ("a day in the", "a day in"),
        ("see a b c", "see"),
        ("here two girls one", "here"),
        ("here two girls walk by", "here two girls walk"),
    ],
)
def test_words_are_held_back_that_may_become_others(text: str, shown: str) -> None:
    assert safe_prefix(text) == shown
