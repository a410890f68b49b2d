"""Training photos: decoding, and quick integrity checks."""

from PIL.Image import Image

from snap2caption.datasets.shards import Sample
from snap2caption.errors import UserError
from snap2caption.images import ImageError, decode, dimensions

_SCAN, _END = b"\xff\xda", b"\xff\xd9"
"""JPEG markers: start of scan (SOS) and end of image (EOI)."""


def open_photo(sample: Sample) -> Image:
    """Return *sample*'s photo, decoded.

    Raises:
        UserError: the photo can't be decoded; the message names the sample and its shard.
    """
    try:
        return decode(sample.photo())
    except ImageError as error:
        raise _unusable(sample, error) from error


def check_photo_markers(sample: Sample) -> None:
    """Check *sample*'s photo by its beginning and end, which takes a thirtieth of the time of decoding it.

    This finds files that are not photos, or that are truncated.

    Raises:
        UserError: as `open_photo`.
    """
    photo = sample.photo()
    try:
        dimensions(photo)
    except ImageError as error:
        raise _unusable(sample, error) from error
    # Phones may append data after the end marker, and put a thumbnail before the scan.
    if photo.startswith(b"\xff\xd8") and photo.rfind(_END) < photo.rfind(_SCAN):
        raise _unusable(sample, "It is truncated.")


def _unusable(sample: Sample, reason: object) -> UserError:
    return UserError(
        f"The photo of sample {sample.id!r} in shard {sample.shard} can't be used ({reason}); "
        "make the dataset again with `transform`."
    )
