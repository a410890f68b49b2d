"""Notices: plain sentences about everything in an answer that differs from the request."""

from collections.abc import Collection, Iterator, Sequence
from enum import StrEnum

from serving.captioning.post_processing import UNDESCRIBED
from serving.http.schemas import Options, Part, Variant
from serving.models.served_model import ServedModel
from snap2caption.hashtags import extract, unique
from snap2caption.hashtags.claims import ClaimKind, claims
from snap2caption.post import MOST_CHARACTERS, MOST_HASHTAGS, Request
from snap2caption.text.language import english_name, primary
from snap2caption.text.profanity import has_word_list


class Degradation(StrEnum):
    """A reduction in quality that the request did not cause, with its notice."""

    VOICE_SHORTENED = (
        "Your captions are longer than the model can read, so only the first part of them was used, newest first."
    )
    VOICE_UNAVAILABLE = "Your saved captions can't be read now, so the caption does not follow your voice."
    UNFAMILIAR_PHOTO = "This photo is unlike the pictures that the model was trained with, so the caption may be wrong."
    UNFAMILIAR_PHOTOS = (
        "Some of these photos are unlike the pictures that the model was trained with, so the caption may be wrong."
    )


def find_notices(
    options: Options,
    request: Request,
    served: ServedModel,
    variants: Sequence[Variant],
    alt_texts: Sequence[str],
    *,
    usable: bool,
    has_corpus: bool = True,
    violations: Sequence[str] = (),
    degradations: Collection[Degradation] = (),
) -> list[str]:
    """Return the notices of an answer.

    Args:
        options: the creator's options.
        request: the request to the model, with the creator's voice.
        served: the model.
        variants: the variants of the answer.
        alt_texts: the alt texts of the photos.
        usable: whether the model generated a caption that is safe to publish.
        has_corpus: whether hashtags of a corpus were available.
        violations: what the captions do not follow of the request, in sentences.
        degradations: what was unavailable or shortened.
    """
    # If only the hashtags are regenerated, options about the caption do not apply.
    about_model = () if options.regenerate is Part.HASHTAGS else _about_model(options, request, served)
    limitations = served.card.limitations
    return [
        *([limitations] if limitations else ()),
        *about_model,
        *_about_captions(options, variants, usable=usable),
        *violations,
        *_about_place(options, variants),
        *_about_hashtags(options, variants[0], has_corpus=has_corpus),
        *_about_alt_texts(alt_texts),
        *map(str, degradations),
    ]


def _about_model(options: Options, request: Request, served: ServedModel) -> Iterator[str]:
    """Yield notices on options that the model was not trained to follow.

    This is known from its base's model card, and from the options that its training prompts contained.
    """
    languages, wanted = served.card.languages, options.language
    if wanted and languages and primary(wanted) not in languages:
        known = " and ".join(sorted(map(english_name, languages)))
        yield f"The model was trained only in {known}, so the caption may not be in {request.language}."
    if wanted and not has_word_list(wanted):
        yield f"There is no list of profanity in {request.language}: only English words are checked."
    if request.voice and not served.follows("voice"):
        yield "The model was not trained with voices, so it follows only the tone of yours."
    if request.hint and not served.follows("hint"):
        yield "The model was not trained with hints, so the caption may not follow yours."


def _about_captions(options: Options, variants: Sequence[Variant], *, usable: bool) -> Iterator[str]:
    if not usable:
        yield "The model wrote no caption that is safe to publish, so the photo is described in plain words."
    elif options.regenerate is not Part.HASHTAGS and len(variants) < options.variants:
        yield (
            f"The answer has {len(variants)} of {options.variants} variants: "
            "the others repeat a caption, or are not safe to publish."
        )


def _about_place(options: Options, variants: Sequence[Variant]) -> Iterator[str]:
    named = claims(options.location or "").get(ClaimKind.PLACE)
    in_captions = [claims(variant.caption).get(ClaimKind.PLACE) for variant in variants]
    if named and any(places and not places & named for places in in_captions):
        yield f"A caption names another place than {options.location}; the hashtags are those of your location."


def _about_hashtags(options: Options, first: Variant, *, has_corpus: bool) -> Iterator[str]:
    found, source = len(first.hashtags), "they come only from the model and the place"
    if options.regenerate is Part.CAPTION:
        pass
    elif found < options.hashtags:
        reason = "no others suit the post" if has_corpus else f"without a corpus, {source}"
        yield f"The post has {found} of {options.hashtags} hashtags: {reason}."
    elif not has_corpus:
        yield f"There is no corpus of hashtags, so {source}."
    if len(first.post) > MOST_CHARACTERS:
        yield f"The caption is longer than the {MOST_CHARACTERS:,} characters that Instagram allows; shorten it."
    elif not set(unique(first.hashtags[:MOST_HASHTAGS])) <= set(extract(first.post)):
        yield (
            f"The post leaves out some hashtags: Instagram allows {MOST_HASHTAGS}, with those in the caption, "
            f"and {MOST_CHARACTERS:,} characters in all."
        )


def _about_alt_texts(alt_texts: Sequence[str]) -> Iterator[str]:
    if UNDESCRIBED in alt_texts:
        yield (
            "A photo has no alt text, because its description repeats the caption or is not safe to publish; write one."
        )
