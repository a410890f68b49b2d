"""File format detection by signature (Wikipedia, "List of file signatures"), for error messages about uploads."""

import re

TAKEN = "JPEG, PNG, WebP, GIF, HEIC or AVIF"
"""The accepted photo formats, for messages."""

_MEDIA = re.compile(rb"....ftyp(?P<brand>....)", re.DOTALL)
"""The start of an ISO base media file."""

_BRANDS = {
    "HEIC": (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"),
    "AVIF": (b"avif", b"avis"),
    "Canon raw": (b"crx ",),
}

_SIGNATURES: tuple[tuple[str, re.Pattern[bytes]], ...] = tuple(
    (name, re.compile(pattern, re.DOTALL | re.IGNORECASE if name in {"SVG", "web page"} else re.DOTALL))
    for name, pattern in (
        ("JPEG", rb"\xff\xd8\xff"),
        ("PNG", rb"\x89PNG\r\n\x1a\n"),
        ("WebP", rb"RIFF....WEBP"),
        ("GIF", rb"GIF8[79]a"),
        ("TIFF or raw", rb"II\*\0|MM\0\*|II\+\0|MM\0\+"),
        ("BMP", rb"BM"),
        ("JPEG XL", rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n"),
        ("JPEG 2000", rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n"),
        ("Photoshop", rb"8BPS"),
        ("icon", rb"\0\0[\1\2]\0"),
        ("PDF", rb"%PDF-"),
        ("zip", rb"PK\x03\x04"),
        ("gzip", rb"\x1f\x8b"),
        ("SVG", rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?(<!DOCTYPE svg[^<]*)?<svg[\s>]"),
        ("web page", rb"\s*(<!DOCTYPE html|<html)"),
    )
)

_AN = {"AVIF", "icon", "SVG"}
"""Formats whose name, as people say it, begins with a vowel."""

_START = 1024


def format_of(data: bytes) -> str | None:
    """Return the common name of the format that *data* begins like, or None if it is none that is often sent as a
    photo.
    """
    start = data[:_START]
    if media := _MEDIA.match(start):
        return next((name for name, brands in _BRANDS.items() if media["brand"] in brands), "video")
    return next((name for name, signature in _SIGNATURES if signature.match(start)), None)


def with_article(name: str) -> str:
    """Return the format's name with ``a`` or ``an`` in front, as it is pronounced."""
    return f"{'an' if name in _AN else 'a'} {name}"
