"""Notices: what could not be done as a creator asked, told in plain sentences."""

from collections.abc import Collection, Iterator, Sequence
from enum import StrEnum

from serving.captioning.post_processing import UNDESCRIBED
from serving.captioning.profanity import has_list
from serving.http.schemas import Options, Part, Variant
from serving.models.manager import ServedModel
from snap2caption.hashtags import extract, unique
from snap2caption.hashtags.claims import ClaimKind, claims
from snap2caption.post import MOST_CHARACTERS, MOST_HASHTAGS, Request
from snap2caption.text.language import english_name, primary


class Degradation(StrEnum):
    """What was not as it should be when an answer was made, as it is told."""

    VOICE_SHORTENED = "The captions to write like are longer than the model in service reads: only the beginning of them was used, the newest first."
    VOICE_AWAY = "Your saved captions can't be read now, so the caption is in no voice of yours."
    GENERAL_HASHTAGS = "The corpus's hashtags can't be had now, so general ones stand in for them."


def find_notices(
    options: Options,
    request: Request,
    served: ServedModel,
    variants: Sequence[Variant],
    alt_texts: Sequence[str],
    *,
    usable: bool,
    troubles: Collection[Degradation] = (),
) -> list[str]:
    """Return the notices of an answer.

    Args:
        options: what was asked for.
        request: what of it, and of what was saved, the model was asked for.
        served: the model.
        variants: what is answered.
        alt_texts: of the photos.
        usable: whether the model wrote a caption that can be shown.
        troubles: what was not as it should be.
    """
    # Where only the hashtags are written again, no wish about the caption is left open.
    of_model = () if options.regenerate is Part.HASHTAGS else _of_model(options, request, served)
    return [
        *of_model,
        *_of_captions(options, variants, usable=usable),
        *_of_place(options, variants),
        *_of_hashtags(options, variants[0]),
        *_of_alt_texts(alt_texts),
        *map(str, troubles),
    ]


def _of_model(options: Options, request: Request, served: ServedModel) -> Iterator[str]:
    """Yield the wishes that the model has not learned to follow: by its base's card, and by what prompts of its training named."""
    spoken, wanted = served.card.languages, options.language
    if wanted and spoken and primary(wanted) not in spoken:
        known = " and ".join(sorted(map(english_name, spoken)))
        yield f"The model was trained in {known} alone, so the caption may not be in {request.language}."
    if wanted and not has_list(wanted):
        yield f"There is no list of profanity in {request.language}: only English words are checked."
    learned = served.version.prompts
    if request.voice and not served.card.follows("voice", learned):
        yield "The model was not trained with a voice: of yours it follows the tone alone."
    if request.hint and not served.card.follows("hint", learned):
        yield "The model was not trained with hints, so the caption may not follow yours."


def _of_captions(options: Options, variants: Sequence[Variant], *, usable: bool) -> Iterator[str]:
    if not usable:
        yield "The model wrote no caption that can be posted, so the photo is described in plain words."
    elif options.regenerate is not Part.HASHTAGS and len(variants) < options.variants:
        yield (
            f"There are {len(variants)} of {options.variants} variants: "
            "the others repeated these, or were not fit to be posted."
        )


def _of_place(options: Options, variants: Sequence[Variant]) -> Iterator[str]:
    named = claims(options.location or "").get(ClaimKind.PLACE)
    told = [claims(variant.caption).get(ClaimKind.PLACE) for variant in variants]
    if named and any(places and not places & named for places in told):
        yield f"A caption names another place than {options.location}, which you gave; the hashtags follow you."


def _of_hashtags(options: Options, first: Variant) -> Iterator[str]:
    if options.regenerate is not Part.CAPTION and len(first.hashtags) < options.hashtags:
        yield f"There are {len(first.hashtags)} of {options.hashtags} hashtags: no more suit the post."
    if len(first.post) > MOST_CHARACTERS:
        yield f"The caption is longer than the {MOST_CHARACTERS:,} characters that Instagram takes; shorten it."
    elif not set(unique(first.hashtags[:MOST_HASHTAGS])) <= set(extract(first.post)):
        yield (
            f"The post leaves hashtags off: with those in the caption, Instagram takes {MOST_HASHTAGS}, "
            f"and {MOST_CHARACTERS:,} characters in all."
        )


def _of_alt_texts(alt_texts: Sequence[str]) -> Iterator[str]:
    if UNDESCRIBED in alt_texts:
        yield "A photo has no alt text of its own, as its description repeats the caption or can't be shown; write one."
