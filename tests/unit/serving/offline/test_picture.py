from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from serving.offline.emoji_font import can_draw_emoji
from serving.offline.picture import draw_post

pytestmark = pytest.mark.unit

PHOTO = Image.new("RGB", (640, 427), "teal")
PAPER = (251, 250, 247)


def drawn(folder: Path, caption: str, hashtags: list[str], notices: Sequence[str] = ()) -> Image.Image:
    path = folder / "new" / "post.png"
    draw_post(PHOTO, caption, hashtags, notices, "snap2caption/3", path)
    return Image.open(path).convert("RGB")


def inked(picture: Image.Image, box: tuple[int, int, int, int]) -> bool:
    return picture.crop(box).getcolors(1) != [((box[2] - box[0]) * (box[3] - box[1]), PAPER)]


def test_the_photo_is_to_the_left_and_the_text_to_the_right(tmp_path: Path) -> None:
    picture = drawn(tmp_path, "Golden hour", ["#sf"])
    assert picture.size == (1220, 600)
    assert picture.getpixel((300, 300)) == (0, 128, 128)
    assert inked(picture, (636, 36, 900, 70))
    assert inked(picture, (636, 540, 900, 570))


def test_notices_are_between_the_text_and_the_footer(tmp_path: Path) -> None:
    notice = "This model knows only rendered scenes. " * 3
    text = ("A caption that goes on and on. " * 70, ["#sf"])
    above, place = (636, 465, 1184, 478), (636, 480, 1184, 536)
    assert not inked(drawn(tmp_path, "Fog.", ["#sf"]), place)
    for caption, hashtags in (("Fog.", ["#sf"]), text):
        picture = drawn(tmp_path, caption, hashtags, [notice])
        assert inked(picture, place)
        assert not inked(picture, above)
    unending = drawn(tmp_path, *text, [notice] * 9)
    assert inked(unending, (636, 36, 1184, 300))
    assert not inked(unending, (600, 536, 1220, 545))


@pytest.mark.parametrize(
    ("caption", "hashtags"),
    [
        ("A caption that goes on and on. " * 70, [f"#hashtag{number}" for number in range(30)]),
        ("short", [f"#{'quitelong' * 3}{number}" for number in range(30)]),
        ("w" * 500, ["#" + "m" * 100]),
        ("a\n" * 100, []),
        ("", []),
        ("👩🏽‍🚀" * 200, []),
        ("Home ✨ " * 60, []),
    ],
)
def test_whatever_is_written_stays_within_its_column(tmp_path: Path, caption: str, hashtags: list[str]) -> None:
    picture = drawn(tmp_path, caption, hashtags)
    assert not inked(picture, (600, 0, 634, 600))
    assert not inked(picture, (1188, 0, 1220, 600))
    # Between the text and the footer, and below it.
    assert not inked(picture, (600, 535, 1220, 545))
    assert not inked(picture, (600, 575, 1220, 600))


def test_what_the_font_lacks_is_written_plainly_or_left_out(tmp_path: Path) -> None:
    def same(one: tuple[str, list[str]], other: tuple[str, list[str]]) -> bool:
        return drawn(tmp_path, *one).tobytes() == drawn(tmp_path, *other).tobytes()

    assert same(("Café – “it’s” 你好", ["#日本", "#café"]), ('Cafe - "it\'s"', ["#cafe"]))


@pytest.fixture
def emoji_font() -> None:
    if not can_draw_emoji():
        pytest.skip("no emoji font; `make install` as root installs it")


@pytest.mark.usefixtures("emoji_font")
def test_emoji_are_drawn_in_color_each_one_in_a_place_of_one(tmp_path: Path) -> None:
    def colors(caption: str, box: tuple[int, int, int, int]) -> set[tuple[int, ...]]:
        found = drawn(tmp_path, caption, []).crop(box).getcolors(1 << 20) or []
        return {color for _, color in found if max(color) - min(color) > 60}

    first, second = (636, 36, 672, 76), (673, 36, 709, 76)
    for one in ("❤️", "🇺🇸", "👩🏽‍🚀", "1️⃣"):
        assert colors(one, first), one
        assert not colors(one, second), one
        assert colors(one + one, second), one
    assert not colors("Fog", first)


def test_without_the_font_emoji_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.offline.picture.can_draw_emoji", lambda: False)
    assert drawn(tmp_path, "Home ✨", []).tobytes() == drawn(tmp_path, "Home", []).tobytes()
