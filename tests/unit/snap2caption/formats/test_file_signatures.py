import pytest

from snap2caption.formats.file_signatures import _BRANDS, _SIGNATURES, with_article

pytestmark = pytest.mark.unit

ARTICLES = {
    "a": {"JPEG", "PNG", "WebP", "GIF", "TIFF or raw", "BMP", "JPEG XL", "JPEG 2000", "Photoshop", "PDF", "zip"}
    | {"gzip", "web page", "HEIC", "Canon raw", "video"},
    "an": {"icon", "SVG", "AVIF"},
}


def test_the_article_follows_the_sound() -> None:
    assert {name for name, _ in _SIGNATURES} | set(_BRANDS) | {"video"} == ARTICLES["a"] | ARTICLES["an"]
    for article, names in ARTICLES.items():
        assert {with_article(name) for name in names} == {f"{article} {name}" for name in names}
