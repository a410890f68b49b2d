import pytest

from etl.urls.table import normalize_url

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://example.com/a.jpg", "https://example.com/a.jpg"),
        (" HTTP://Example.com/a.jpg#top\n", "http://example.com/a.jpg"),
        (
            "https://example.com/São Paulo/🌉.jpg?w=1&h=%20",
            "https://example.com/S%C3%A3o%20Paulo/%F0%9F%8C%89.jpg?w=1&h=%20",
        ),
        ("https://köln.de/a.jpg", "https://xn--kln-sna.de/a.jpg"),
        ("https://me:secret@example.com/a.jpg", None),
        ("https://me@example.com/a.jpg", None),
        ("file:///etc/passwd", None),
        ("ftp://example.com/a.jpg", None),
        ("data:image/jpeg,x", None),
        ("//example.com/a.jpg", None),
        ("https:///a.jpg", None),
        ("https://example.com:port/a.jpg", None),
        ("https://example.com/a\n.jpg", None),
        ("https://" + "a" * 70000, None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_what_is_requested(text: object, url: str | None) -> None:
    assert normalize_url(text) == url
