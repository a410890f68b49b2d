"""Photos in the page: how they are added, put in order and prepared, and which are refused."""

import base64
import io
import queue
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from itertools import islice
from pathlib import Path

import numpy as np
import patience
import pytest
from chromium import patient
from demo_service import DemoService
from hostile_photos import UPRIGHT, corpus, heif
from hostile_photos.making import chunk, png_header
from photo_metadata import MARK, encode, exif, telling_photos
from PIL import Image, ImageCms
from playwright.sync_api import Browser, FilePayload, Locator, Page, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from web_server import listening

from serving.page.files import DIST, WebPage

pytestmark = pytest.mark.integration

KEEP_BLOBS = """() => {
    window.blobs = new Map()
    const create = URL.createObjectURL
    URL.createObjectURL = (blob) => {
        const url = create.call(URL, blob)
        window.blobs.set(url, blob)
        return url
    }
}"""
"""Keeps the prepared photos where a test can read them: the policy lets no script fetch a blob."""

READ_BLOBS = """(images) => Promise.all(images.map(async ({ src }) => {
    const bytes = new Uint8Array(await window.blobs.get(src).arrayBuffer())
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))
}))"""

TRANSFER = """(target, [type, name, photo, text]) => {
    const data = new DataTransfer()
    data.items.add(new File([Uint8Array.from(atob(photo), (byte) => byte.charCodeAt(0))], name))
    if (text) data.setData('text/plain', text)
    const details = { bubbles: true, cancelable: true }
    const event = type === 'paste'
        ? new ClipboardEvent('paste', { clipboardData: data, ...details })
        : new DragEvent(type, { dataTransfer: data, ...details })
    return !target.dispatchEvent(event)
}"""
"""Drops or pastes a file as a browser would. Returns whether the page took it."""

ADD_FIELD = "() => document.querySelector('main').append(document.createElement('textarea'))"

SRGB_RED = Image.new("RGB", (64, 64), (255, 0, 0))
P3_OF_SRGB_RED = Image.new("RGB", (64, 64), (234, 51, 35))
"""The same red, in Display P3."""
WHITE = Image.new("RGB", (64, 64), "white")
CLEAR = Image.new("RGBA", (64, 64), (255, 0, 0, 0))


DROP_LINK = """(element) => {
    const data = new DataTransfer()
    data.setData('text/uri-list', 'https://example.com/')
    return !element.dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer: data }))
}"""
"""Drops a link. Returns whether the page took it; otherwise the browser follows it."""


class Photos:
    """The photos of a page, as a creator handles them."""

    def __init__(self, page: Page) -> None:
        self.page = page
        page.evaluate(KEEP_BLOBS)

    @property
    def images(self) -> Locator:
        return self.page.get_by_role("list", name="Your photos").get_by_role("img")

    @property
    def names(self) -> list[str]:
        """The names of the photos in their order."""
        return [(image.get_attribute("alt") or "").partition(": ")[2] for image in self.images.all()]

    def choose(self, **files: bytes) -> None:
        """Choose *files* from the gallery, and wait until none is being prepared."""
        payloads: list[FilePayload] = [
            {"name": name, "mimeType": "application/octet-stream", "buffer": data} for name, data in files.items()
        ]
        self.page.locator("input[type=file][multiple]").set_input_files(payloads)
        self.wait()

    def wait(self) -> None:
        expect(self.page.get_by_text("Preparing")).to_have_count(0)

    def transfer(self, kind: str, name: str, data: bytes, text: str = "", target: str = "body") -> bool:
        """Drop or paste a file onto *target*. Returns whether the page took it."""
        details = [kind, name, base64.b64encode(data).decode(), text]
        taken: bool = self.page.locator(target).evaluate(TRANSFER, details)
        self.wait()
        return taken

    def files(self) -> list[bytes]:
        """What is uploaded of each photo."""
        return [base64.b64decode(photo) for photo in self.images.evaluate_all(READ_BLOBS)]

    def pictures(self) -> list[Image.Image]:
        return [Image.open(io.BytesIO(file)) for file in self.files()]

    def problems(self) -> list[str]:
        return self.page.get_by_role("alert").all_inner_texts()

    def clear(self) -> None:
        while (remove := self.page.get_by_role("button", name="Remove photo 1", exact=True)).count():
            remove.click()


@pytest.fixture
def photos(page: Page) -> Photos:
    return Photos(page)


def batched(names: Iterable[str], size: int) -> Iterator[list[str]]:
    remaining = iter(names)
    while batch := list(islice(remaining, size)):
        yield batch


def scene(width: int = 120, height: int = 80) -> Image.Image:
    """Four colors, so that one can tell how it was turned."""
    picture = Image.new("RGB", (width, height), "red")
    picture.paste("lime", (width // 2, 0, width, height // 2))
    picture.paste("blue", (0, height // 2, width // 2, height))
    picture.paste("yellow", (width // 2, height // 2, width, height))
    return picture


def alike(one: Image.Image, other: Image.Image) -> bool:
    """Whether two pictures differ by no more than what JPEG does to edges: turned, they differ by 100 of 255."""
    pixels = [np.asarray(image.convert("RGB"), dtype=np.int16) for image in (one, other)]
    return one.size == other.size and float(np.abs(pixels[0] - pixels[1]).mean()) < 10


def display_p3() -> bytes:
    """An ICC profile of Display P3: sRGB's with the red, green and blue of the wider space, adapted to D50."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    columns = {
        b"rXYZ": (0.51512, 0.24120, -0.00105),
        b"gXYZ": (0.29198, 0.69225, 0.04189),
        b"bXYZ": (0.15710, 0.06657, 0.78407),
    }
    for entry in range(132, 132 + 12 * int.from_bytes(profile[128:132]), 12):
        if xyz := columns.get(bytes(profile[entry : entry + 4])):
            at = int.from_bytes(profile[entry + 4 : entry + 8]) + 8
            profile[at : at + 12] = b"".join(round(value * 65536).to_bytes(4, signed=True) for value in xyz)
    return bytes(profile)


def test_photos_are_chosen_dropped_and_pasted(photos: Photos) -> None:
    photo = encode(scene())
    photos.choose(**{"one.jpg": photo, "two.jpg": photo})
    assert photos.transfer("drop", "three.jpg", photo)
    assert photos.transfer("paste", "four.jpg", photo, "text that was copied with it")
    assert photos.names == ["one.jpg", "two.jpg", "three.jpg", "four.jpg"]
    # In a field, what is pasted is text if there is any.
    photos.page.evaluate(ADD_FIELD)
    assert not photos.transfer("paste", "five.jpg", photo, "text", "textarea:last-of-type")
    assert photos.transfer("paste", "five.jpg", photo, "", "textarea:last-of-type")
    assert photos.names[4:] == ["five.jpg"]


def test_files_dropped_in_another_view_are_left_alone(photos: Photos) -> None:
    photos.page.goto("#/about")
    assert photos.transfer("dragover", "one.jpg", encode(scene()))
    assert photos.transfer("drop", "one.jpg", encode(scene())), "the browser would leave the page"
    assert not photos.transfer("paste", "one.jpg", encode(scene()))
    photos.page.goto("#/")
    expect(photos.page.get_by_role("button", name="Choose photos")).to_be_visible()


def test_a_dropped_link_is_not_followed(photos: Photos) -> None:
    photos.page.evaluate(ADD_FIELD)
    assert photos.page.locator("body").evaluate(DROP_LINK)
    assert not photos.page.locator("textarea:last-of-type").evaluate(DROP_LINK), "a field takes its text"
    assert photos.names == []


def test_touch_screens_offer_the_camera(page: Page, browser: Browser, service: DemoService) -> None:
    expect(page.get_by_role("button", name="Take a photo")).to_be_visible()
    assert page.locator("input[capture=environment]").get_attribute("multiple") is None
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose photos").click()
    assert chooser.value.is_multiple()
    Photos(page).choose(**{"one.jpg": encode(scene())})
    expect(page.get_by_role("button", name="Add photos")).to_be_visible()
    expect(page.get_by_role("button", name="Take a photo")).to_be_visible()
    context = patient(browser.new_context(base_url=service.url))
    desktop = context.new_page()
    desktop.goto("/")
    expect(desktop.get_by_text("Drop your photos here, or paste them")).to_be_visible()
    expect(desktop.get_by_role("button", name="Take a photo")).to_be_hidden()
    context.close()


def test_photos_are_put_in_order_and_removed(photos: Photos) -> None:
    photos.choose(**{f"{name}.png": encode(scene(), "PNG") for name in "abc"})
    right = photos.page.get_by_role("button", name="Move right")
    for names in (["b.png", "a.png", "c.png"], ["b.png", "c.png", "a.png"], ["b.png", "c.png", "a.png"]):
        right.press("Enter")
        assert photos.names == names
    expect(photos.page.get_by_text("Moved to place 3 of 3.")).to_be_attached()
    expect(right).to_be_focused()
    photos.page.get_by_role("button", name="Move left").click()
    assert photos.names == ["b.png", "a.png", "c.png"]
    show = photos.page.get_by_role("button", name="Show photo")
    show.nth(2).drag_to(show.nth(0))
    assert photos.names == ["c.png", "b.png", "a.png"]
    show.nth(2).click()
    expect(show.nth(2)).to_have_attribute("aria-current", "true")
    photos.page.get_by_role("button", name="Remove photo 3").click()
    assert photos.names == ["c.png", "b.png"]
    photos.clear()
    expect(photos.page.get_by_role("button", name="Choose photos")).to_be_visible()
    expect(photos.page.get_by_role("region", name="Photos")).to_be_focused()


def test_a_post_has_at_most_ten_photos(photos: Photos) -> None:
    photo = encode(scene(8, 8))
    photos.choose(**{f"{number}.jpg": photo for number in range(15)})
    assert photos.names == [f"{number}.jpg" for number in range(10)]
    assert photos.problems() == [
        "10.jpg, 11.jpg, 12.jpg and 2 more A post has at most 10 photos. Remove one first, then add another."
    ]
    expect(photos.page.get_by_role("button", name="Add photos")).to_have_count(0)
    photos.page.get_by_role("button", name="Dismiss").click()
    assert photos.problems() == []


def test_photos_are_turned_upright(photos: Photos) -> None:
    upright = scene()
    turned = [upright if method is None else upright.transpose(method) for method in UPRIGHT]
    photos.choose(**{f"{i}.jpg": encode(image, exif=exif(i), quality=95) for i, image in enumerate(turned, 1)})
    assert [alike(picture, upright) for picture in photos.pictures()] == [True] * 8


def test_heic_is_decoded_upright_by_the_worker(photos: Photos) -> None:
    upright = scene()
    files = {}
    for orientation in (1, 6, 7, 8):
        method = UPRIGHT[orientation - 1]
        turned = upright if method is None else upright.transpose(method)
        files[f"IMG_{orientation}.HEIC"] = heif(turned, "HEIC", exif=exif(orientation), quality=90)
    files["IMG_P3.HEIC"] = heif(P3_OF_SRGB_RED, "HEIC", icc_profile=display_p3())
    files["alpha.heic"] = heif(CLEAR, "HEIC")
    with photos.page.expect_response("**/libheif-*.wasm") as decoder:
        photos.choose(**files)
    assert decoder.value.ok
    assert photos.names == list(files)
    *turned_back, wide, transparent = photos.pictures()
    assert [alike(picture, upright) for picture in turned_back] == [True] * 4
    assert alike(wide, SRGB_RED)
    assert alike(transparent, WHITE)
    assert not any(MARK in file for file in photos.files())


def test_nothing_but_the_picture_is_uploaded(photos: Photos) -> None:
    telling = dict(telling_photos(scene()))
    prepared = 0
    for names in batched(telling, 10):
        photos.choose(**{name: telling[name] for name in names})
        for file in photos.files():
            assert MARK not in file
            assert not Image.open(io.BytesIO(file)).getexif()
            prepared += 1
        photos.clear()
    assert prepared > 40


def test_the_upload_holds_what_was_prepared(browser: Browser) -> None:
    bodies: queue.Queue[bytes] = queue.Queue()

    async def record(request: Request) -> Response:
        bodies.put(await request.body())
        return Response(status_code=HTTPStatus.SERVICE_UNAVAILABLE)

    app = Starlette(routes=[Route("/v1/generate-caption", record, methods=["POST"])])
    with listening(WebPage(app, DIST)) as url:
        context = patient(browser.new_context())
        page = context.new_page()
        page.goto(url)
        photos = Photos(page)
        photos.choose(**{"Me at home.jpg": encode(scene(), exif=exif(6)), "b.heic": heif(scene(), "HEIC")})
        page.get_by_role("button", name="Write my caption").click()
        body = bodies.get(timeout=patience.LONGEST)
        assert [file in body for file in photos.files()] == [True, True]
        context.close()
    assert MARK not in body
    assert b"Me at home" not in body


def test_photos_are_scaled_flattened_and_converted(photos: Photos) -> None:
    large = scene(4000, 3000)
    frames = [Image.new("RGB", (64, 64), color) for color in ("green", "blue")]
    photos.choose(
        large=encode(large),
        # Stored lying.
        upright=encode(large.transpose(Image.Transpose.ROTATE_90), exif=exif(6)),
        panorama=encode(scene(4000, 500)),
        small=encode(scene(33, 21), "WEBP", lossless=True),
        clear=encode(CLEAR, "PNG"),
        animated=encode(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        moving=encode(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True),
        wide=encode(P3_OF_SRGB_RED, icc_profile=display_p3(), quality=95),
        avif=heif(scene(), "AVIF"),
    )
    assert photos.problems() == []
    pictures = photos.pictures()
    assert [picture.size for picture in pictures[:4]] == [(1600, 1200), (1600, 1200), (1600, 200), (33, 21)]
    assert {picture.format for picture in pictures} == {"JPEG"}
    expected = [scene(1600, 1200), scene(1600, 1200), scene(1600, 200), scene(33, 21)]
    expected += [WHITE, frames[0], frames[0], SRGB_RED, scene()]
    assert [alike(*pair) for pair in zip(pictures, expected, strict=True)] == [True] * 9


def test_what_cannot_be_used_is_named(photos: Photos, tmp_path: Path) -> None:
    jpeg, heic = encode(scene()), heif(scene(), "HEIC")
    bad = {
        "empty.jpg": (b"", "is empty"),
        "cut.jpg": (jpeg[:-200], "damaged or incomplete"),
        "cut.heic": (heic[: len(heic) // 2], "damaged or incomplete"),
        "noise.png": (b"\x89PNG\r\n\x1a\n" + bytes(99), "damaged or incomplete"),
        "bomb.png": (png_header(20_000, 20_000) + chunk(b"IEND", b""), "more than 200 megapixels"),
        "clip.jpg": (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(99), "is a video"),
        "menu.pdf": (b"%PDF-1.7\n", "is a PDF"),
        "logo.svg": (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "is a drawing (SVG)"),
        "IMG_1.CR2": (b"II*\0\x10\0\0\0CR\2\0", "is a RAW or TIFF file"),
        "notes.txt": (b"Golden hour", "not a kind of photo"),
    }
    photos.choose(**{name: data for name, (data, _) in bad.items()}, **{"good.jpg": jpeg})
    told = photos.problems()
    assert len(told) == len(bad) + 1
    for name, (_, expected) in bad.items():
        assert any(problem.startswith(name) and expected in problem for problem in told), (name, told)
    large = tmp_path / "large.jpg"
    large.write_bytes(jpeg)
    with large.open("r+b") as file:
        file.truncate(100_000_001)
    photos.page.locator("input[type=file][multiple]").set_input_files(large)
    photos.wait()
    expect(photos.page.get_by_role("alert")).to_contain_text("large.jpg It is larger than 100 MB.")


def test_hostile_files_become_photos_or_problems(photos: Photos) -> None:
    files = {f"{upload.kind}.jpg": upload.data for upload in corpus(1)}
    for names in batched(files, 10):
        photos.choose(**{name: files[name] for name in names})
        told = photos.problems()
        named = [name for name in names if any(problem.startswith(f"{name} ") for problem in told)]
        assert sorted(photos.names + named) == sorted(names)
        photos.clear()


def test_a_worker_that_cannot_be_loaded_is_named(photos: Photos) -> None:
    photos.page.route("**/prepare.worker-*.js", lambda route: route.fulfill(status=404))
    photos.choose(**{"photo.jpg": encode(scene(), "JPEG")})
    expect(photos.page.get_by_role("alert")).to_contain_text("reload the page, then add the photo again")
    photos.page.unroute_all()
    photos.choose(**{"photo.jpg": encode(scene(), "JPEG")})
    assert photos.names == ["photo.jpg"]


def test_a_decoder_that_cannot_be_loaded_is_named(photos: Photos) -> None:
    photos.page.route("**/libheif-*.wasm", lambda route: route.abort())
    photos.choose(**{"IMG_1.HEIC": heif(scene(), "HEIC")})
    expect(photos.page.get_by_role("alert")).to_contain_text("IMG_1.HEIC The decoder for HEIC couldn't be loaded.")
    photos.page.unroute_all()
    photos.choose(**{"IMG_1.HEIC": heif(scene(), "HEIC")})
    assert photos.names == ["IMG_1.HEIC"]
