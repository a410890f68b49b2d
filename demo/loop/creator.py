"""A scripted creator, who posts photos and corrects what the service wrote."""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import httpx

from demo.loop.habit import PLACE, take
from snap2caption.feedback import Feedback, Words, photo_key, record_key
from snap2caption.hashtags import unique
from snap2caption.store import ObjectStore


def caption(serving: str, photo: bytes) -> dict[str, Any]:
    """Return the service's answer for a photo."""
    files = {"image": ("photo.jpg", photo, "image/jpeg")}
    answer = httpx.post(f"{serving}/generate-caption", files=files, timeout=120.0)
    answer.raise_for_status()
    document: dict[str, Any] = answer.json()
    return document


def correct(serving: str, store: ObjectStore, numbers: Iterable[int]) -> int:
    """Let the service caption the photos of these numbers, and send what she made of each caption; return how many."""
    sent = 0
    for number in numbers:
        post = take(number)
        answer = caption(serving, post.photo)
        shown = Words(caption=answer["caption"], hashtags=tuple(unique(answer["hashtags"])))
        _send(store, number, post.photo, shown, post.words, answer["model_version"])
        sent += 1
    return sent


def _send(store: ObjectStore, number: int, photo: bytes, shown: Words, edited: Words, model_version: str) -> None:
    digest = hashlib.sha256(photo).hexdigest()
    feedback = Feedback(
        id=hashlib.sha256(f"demo/{number}".encode()).hexdigest()[:32],
        creator=hashlib.sha256(b"").hexdigest(),
        received=datetime.now(UTC),
        photo=digest,
        shown=shown,
        edited=edited,
        rating=2,
        location=PLACE,
        model_version=model_version,
    )
    store.put(photo_key(digest), photo, sha256=digest)
    record = feedback.model_dump_json().encode()
    store.put(record_key(feedback), record, sha256=hashlib.sha256(record).hexdigest())
