"""Photos to learn from: decoded, or named by shard and id."""

from PIL.Image import Image

from snap2caption.errors import UserError
from snap2caption.images import ImageError, decode, dimensions
from snap2caption.shards import Sample

_END = b"\xff\xd9"
"""What a JPEG ends with."""


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
    """Check *sample*'s photo by what it begins and ends with, which takes a hundredth of decoding it: no photo at all, and a cut-off one, are found.

    Raises:
        UserError: as `open_photo`.
    """
    photo = sample.photo()
    try:
        dimensions(photo)
    except ImageError as error:
        raise _unusable(sample, error) from error
    if photo.startswith(b"\xff\xd8") and _END not in photo[-64:]:
        raise _unusable(sample, "It is cut off.")


def _unusable(sample: Sample, reason: object) -> UserError:
    return UserError(
        f"The photo of the sample {sample.id!r} of the shard {sample.shard} can't be used ({reason}); make the dataset again with `transform`."
    )
