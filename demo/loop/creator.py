"""Scripted creator, who has photos captioned and corrects the captions through the service's API."""

from collections.abc import Iterable
from typing import Any

from demo.loop.habit import PLACE, take
from snap2caption.http.retrying import RetryingClient

_SECONDS = 120.0
"""Seconds that an answer may take, and that a busy service may ask clients to wait."""


def caption(serving: str, photo: bytes, **options: str) -> dict[str, Any]:
    """Return the service's answer for a photo, without a voice, so that it shows only what the model has learned."""
    with _client(serving) as client:
        answer = client.post(
            "/v1/generate-caption",
            files={"image": ("photo.jpg", photo, "image/jpeg")},
            data={"voice": "", **options},
        )
    document: dict[str, Any] = answer.raise_for_status().json()
    return document


def correct(serving: str, numbers: Iterable[int]) -> None:
    """Have the photos of these numbers captioned, and send feedback with what they would have written."""
    for number in numbers:
        post = take(number)
        answer = caption(serving, post.photo, location=PLACE, keep_for_feedback="true")
        said = {
            "request_id": answer["request_id"],
            "rating": 2,
            "edited_caption": post.words.caption,
            "edited_hashtags": list(post.words.hashtags),
        }
        with _client(serving) as client:
            client.post("/v1/feedback", json=said).raise_for_status()


def _client(serving: str) -> RetryingClient:
    return RetryingClient(base_url=serving, timeout=_SECONDS, patience=_SECONDS)
