"""Why a sample is not used. A bad sample is a value with a reason, and counted; it is never an exception."""

from enum import StrEnum


class RejectionReason(StrEnum):
    """Each sample (for an unsafe path, each member of the archive) that is left out has one reason."""

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
    """The archive's directory places it where the archive has no members."""
    OVERLAPPING = "overlapping"
    """It shares bytes with another member, as in a bomb that needs no recursion."""
