"""Creators who send feedback, and their photos."""

import hashlib
import io

from PIL import Image

KEYS = ("ana", "ben")
TOKEN = "token"
"""What the metrics want."""


def creator(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def headers(key: str, once: str | None = None) -> dict[str, str]:
    return {"X-API-Key": key} | ({"Idempotency-Key": once} if once else {})


def metrics_headers() -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKEN}"}


def photo_of(color: str) -> bytes:
    """A photo that lies on its side, with metadata that tell where it was taken."""
    stream = io.BytesIO()
    image = Image.new("RGB", (64, 48), color)
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "home of Ana"
    image.save(stream, "JPEG", exif=exif)
    return stream.getvalue()
