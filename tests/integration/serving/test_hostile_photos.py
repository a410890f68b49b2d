"""Broken, hostile and strange photos, as a form and as JSON: each one is captioned or refused with a reason.

`make fuzz` sends thousands.
"""

import base64
import os
import random
import re
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path

import httpx
import patience
import pytest
from creators import headers
from demo_service import DemoService
from hostile_photos import MAKERS, MAX_PIXELS, UPRIGHT, Upload, corpus, encoded, oriented, scene
from PIL.Image import Image
from process_memory import memory

from serving.captioning.photo_decoder import _DECODERS
from serving.http.schemas import CaptionAnswer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(0)]

PHOTOS = int(os.environ.get("FUZZ_PHOTOS", len(MAKERS)))
CLIENTS = 4
"""As many as a key may have at once."""

BODY = 4 * 2**20
PIXEL = 16
"""Bytes of memory that a pixel takes while it is decoded: of a WebP, the decoder's two canvases, what it hands over,
and Pillow's own.
"""

Send = Callable[[str, Upload], httpx.Response]


def as_form(url: str, photo: Upload) -> httpx.Response:
    file = (photo.filename, photo.data, photo.media_type)
    options = {"length": "short", "hashtags": "3"}
    return patience.post(url, files={"image": file}, data=options, headers=headers("ana"))


def as_json(url: str, photo: Upload) -> httpx.Response:
    body = {"image": base64.b64encode(photo.data).decode(), "length": "short", "hashtags": 3}
    return patience.post(url, json=body, headers=headers("ana"))


def judge(answer: httpx.Response) -> str:
    """Return what came of a photo, having seen that the answer is whole."""
    if answer.status_code == HTTPStatus.OK:
        caption = CaptionAnswer.model_validate_json(answer.content)
        assert caption.caption
        assert caption.alt_text
        assert len(set(caption.hashtags)) == 3
        return "captioned"
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert set(body) == {"type", "title", "status", "detail", "reason"}
    assert (body["status"], body["title"]) == (answer.status_code, HTTPStatus(answer.status_code).phrase)
    assert re.fullmatch(r"[A-Z].*; .*\bsend\b.*\.", body["detail"]), body
    return str(body["reason"])


def scene_of(pixels: int) -> Image:
    return scene(random.Random(0), size=(1000, pixels // 1000))


def test_each_is_captioned_or_refused_in_so_many_words(guarded: DemoService) -> None:
    url = f"{guarded.url}/v1/generate-caption"
    ways: tuple[Send, ...] = (as_form, as_json)
    counts: Counter[str] = Counter()

    def send(photo: Upload) -> None:
        outcomes = {judge(way(url, photo)) for way in ways}
        assert len(outcomes) == 1, (photo.kind, photo.number, outcomes)
        assert outcomes <= photo.outcomes, (photo.kind, photo.number, outcomes)
        counts.update(outcomes)

    with ThreadPoolExecutor(CLIENTS) as pool:
        largest = Upload("", 0, encoded(scene_of(MAX_PIXELS), "WEBP"), frozenset({"captioned"}))
        list(pool.map(send, [largest] * CLIENTS))
        before = memory(guarded.pid, "VmRSS")
        Path(f"/proc/{guarded.pid}/clear_refs").write_text("5")  # Resets the peak.
        list(pool.map(send, corpus(-(-PHOTOS // len(MAKERS)))))
    peak = memory(guarded.pid, "VmHWM")
    # Of each request in progress, the body, its text, its bytes and a decoded photo; and the photos being decoded.
    limit = CLIENTS * (3 * BODY + 4 * MAX_PIXELS) + _DECODERS * PIXEL * MAX_PIXELS
    print(f"{counts.total()} photos in {len(MAKERS)} kinds, each sent twice: {dict(counts.most_common())}")
    print(
        f"memory {before / 2**20:.0f} MiB before, {peak / 2**20:.0f} at its peak, {(before + limit) / 2**20:.0f} allowed"
    )
    assert peak < before + limit
    assert httpx.get(f"{guarded.url}/readyz", timeout=patience.LONGEST).is_success
    assert not guarded.faults


def test_photos_are_the_same_ones_for_a_seed() -> None:
    assert list(corpus(1)) == list(corpus(1))


def test_whichever_way_it_is_stored_a_photo_is_upright(guarded: DemoService) -> None:
    stored = guarded.folder / "feedback"

    def kept(kind: str) -> list[Path]:
        return [path for path in (stored / kind).rglob("*") if path.is_file()]

    def send(data: bytes) -> None:
        answer = patience.post(
            f"{guarded.url}/feedback", files={"image": data}, data={"rating": "5"}, headers=headers("ben")
        )
        assert answer.status_code == HTTPStatus.ACCEPTED, answer.text

    records, photos = len(kept("records")), len(kept("photos"))
    image = scene_of(60_000)
    for orientation, turn in enumerate(UPRIGHT, 1):
        turned = image if turn is None else image.transpose(turn)
        send(encoded(turned, "PNG", exif=oriented(orientation)))
        send(encoded(turned, "WEBP", lossless=True, exif=oriented(orientation)))
    patience.until(lambda: len(kept("records")) >= records + 16)
    # A photo is stored under the digest of its upright pixels.
    assert len(kept("photos")) == photos + 1
