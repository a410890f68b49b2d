"""Rejection reasons: why a sample is not used. A bad sample is a counted value with a reason, never an exception."""

from enum import StrEnum


class RejectionReason(StrEnum):
    """Reason for leaving out a sample (for an unsafe path: a member of the archive). Each has exactly one."""

    CITY_NOT_SELECTED = "city_not_selected"
    MISSING_CAPTION = "missing_caption"
    MISSING_IMAGE = "missing_image"
    EMPTY_CAPTION = "empty_caption"
    UNDECODABLE_CAPTION = "undecodable_caption"
    CORRUPT_IMAGE = "corrupt_image"
    TRUNCATED_IMAGE = "truncated_image"
    ODD_DIMENSIONS = "odd_dimensions"
    DUPLICATE = "duplicate"
    UNSAFE_PATH = "unsafe_path"
    ENCRYPTED = "encrypted"
    UNSUPPORTED_COMPRESSION = "unsupported_compression"
    OVERSIZED = "oversized"
    OUT_OF_BOUNDS = "out_of_bounds"
    """The archive's directory places it outside the area that holds members."""
    OVERLAPPING = "overlapping"
    """It shares bytes with another member, as in a zip bomb that needs no recursion."""

    # Of the curation (`etl.transform.curation`), which is off by default.
    CAPTION_LENGTH = "caption_length"
    HASHTAG_SHARE = "hashtag_share"
    REPETITION = "repetition"
    CONTACTS = "contacts"
    LANGUAGE = "language"
    PROFANITY = "profanity"
    LOW_RESOLUTION = "low_resolution"
    ASPECT_RATIO = "aspect_ratio"
    BLUR = "blur"
    FACES = "faces"
    NSFW = "nsfw"
    TEMPLATE = "template"
    NEAR_DUPLICATE = "near_duplicate"
    SEMANTIC_DUPLICATE = "semantic_duplicate"


CURATED = (
    RejectionReason.CAPTION_LENGTH,
    RejectionReason.HASHTAG_SHARE,
    RejectionReason.REPETITION,
    RejectionReason.CONTACTS,
    RejectionReason.LANGUAGE,
    RejectionReason.PROFANITY,
    RejectionReason.LOW_RESOLUTION,
    RejectionReason.ASPECT_RATIO,
    RejectionReason.BLUR,
    RejectionReason.FACES,
    RejectionReason.NSFW,
    RejectionReason.TEMPLATE,
    RejectionReason.NEAR_DUPLICATE,
    RejectionReason.SEMANTIC_DUPLICATE,
)
"""The reasons of curation. Their pairs are whole."""
