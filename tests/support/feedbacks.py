"""A store of feedback, as the service and Label Studio leave it, and a corpus version beside it."""

import hashlib
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

from demo.scenes.render import render
from demo.scenes.scene import City, Mood, Scene, Subject, Time, Weather
from snap2caption.feedback import (
    Annotation,
    Erasure,
    Feedback,
    Words,
    annotation_key,
    erasure_key,
    owner_of,
    photo_key,
    record_key,
)
from snap2caption.store import open_store

START = datetime(2026, 11, 20, 8, tzinfo=UTC)
SUBJECTS = tuple(Subject)


def identifier(number: int) -> str:
    """Return the id of feedback *number*."""
    return hashlib.sha256(str(number).encode()).hexdigest()[:32]


def draw(number: int) -> bytes:
    """Return a photo that is like no other number's."""
    subject = SUBJECTS[number % len(SUBJECTS)]
    scene = Scene(City.CHICAGO, subject, tuple(Time)[number % 3], tuple(Weather)[number % 2], Mood.CALM)
    stream = io.BytesIO()
    render(scene, 9_000 + number).save(stream, "JPEG", quality=90)
    return stream.getvalue()


class Box:
    """A store of feedback in a folder."""

    def __init__(self, folder: Path) -> None:
        self.uri = folder.as_uri()
        self.store = open_store(self.uri)

    def put(self, key: str, data: bytes) -> None:
        self.store.put(key, data, sha256=hashlib.sha256(data).hexdigest())

    def send(self, number: int, photo: bytes | None = None, **fields: object) -> Feedback:
        """Send feedback as the service stores it: one a minute, with a photo of its own."""
        data = photo if photo is not None else draw(number)
        given = {
            "id": identifier(number), "creator": "c" * 64, "received": START + timedelta(minutes=number),
            "photo": hashlib.sha256(data).hexdigest(), "shown": Words(caption=f"Shown {number}.", hashtags=("city",)),
        }  # fmt: skip
        feedback = Feedback.model_validate(given | fields)
        self.put(photo_key(feedback.photo), data)
        self.put(record_key(feedback), feedback.model_dump_json().encode())
        return feedback

    def annotate(
        self, number: int, caption: str = "", *, annotator: int = 1, at: int = 0, **fields: object
    ) -> Annotation:
        words = Words(caption=caption or f"A corrected caption number {number}.", hashtags=("chicago", f"tag{number}"))
        given = {
            "id": number * 10 + annotator, "feedback": identifier(number), "annotator": str(annotator),
            "completed": START + timedelta(hours=at), "words": words,
        }  # fmt: skip
        annotation = Annotation.model_validate(given | fields)
        self.put(annotation_key(annotation.feedback, annotation.id), annotation.model_dump_json().encode())
        return annotation

    def erase(self, feedback: Feedback) -> None:
        """Erase as the service does: the record of it first."""
        done = Erasure(id=feedback.id, erased=START + timedelta(days=1), owner=owner_of(feedback.id, feedback.creator))
        self.put(erasure_key(feedback.id), done.model_dump_json().encode())
        self.store.delete(record_key(feedback))
        self.store.delete(photo_key(feedback.photo))
