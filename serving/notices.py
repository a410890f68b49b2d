"""Notices: what could not be done as a creator asked, told in plain sentences."""

from collections.abc import Iterator, Sequence

from serving.schemas import Options, Part, Variant
from snap2caption.hashtags import extract, unique
from snap2caption.post import MOST_CHARACTERS, MOST_HASHTAGS


def find_notices(options: Options, variants: Sequence[Variant], *, usable: bool) -> list[str]:
    """Return the notices of an answer.

    Args:
        options: what was asked for.
        variants: what is answered.
        usable: whether the model wrote a caption that can be shown.
    """
    return [*_of_captions(options, variants, usable=usable), *_of_hashtags(options, variants[0])]


def _of_captions(options: Options, variants: Sequence[Variant], *, usable: bool) -> Iterator[str]:
    if not usable:
        yield "The model wrote no caption that can be posted, so the photo is described in plain words."
    elif options.regenerate is not Part.HASHTAGS and len(variants) < options.variants:
        yield (
            f"There are {len(variants)} of {options.variants} variants: "
            "the others repeated these, or were not fit to be posted."
        )


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
