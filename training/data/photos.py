"""Photos to learn from: decoded, or named by shard and id."""

from PIL.Image import Image

from snap2caption.datasets.shards import Sample
from snap2caption.errors import UserError
from snap2caption.images import ImageError, decode, dimensions

_SCAN, _END = b"\xff\xda", b"\xff\xd9"
"""Markers of a JPEG: where a scan of its pixels begins, and where it ends."""


def open_photo(sample: Sample) -> Image:
    """Return *sample*'s photo, decoded.

    Raises:
        UserError: it can't be; the sentence names the sample and its shard.
    """
    try:
        return decode(sample.photo())
    except ImageError as error:
        raise _unusable(sample, error) from error


def glance_at(sample: Sample) -> None:
    """Check *sample*'s photo by its beginning and end, a thirtieth of the work of decoding it: what is no photo, or cut off, is found.

    Raises:
        UserError: as `open_photo`.
    """
    photo = sample.photo()
    try:
        dimensions(photo)
    except ImageError as error:
        raise _unusable(sample, error) from error
    # A phone may put more after the end, and a small picture before the scan.
    if photo.startswith(b"\xff\xd8") and photo.rfind(_END) < photo.rfind(_SCAN):
        raise _unusable(sample, "It is cut off.")


def _unusable(sample: Sample, reason: object) -> UserError:
    return UserError(
        f"The photo of the sample {sample.id!r} of the shard {sample.shard} can't be used ({reason}); make the dataset again with `transform`."
    )
