"""Delivery and erasure of feedback beside its acceptance, in one process, with a real S3 server."""

import hashlib
import io
import os
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from benchmarks.table import TableRow
from demo.stack.ports import Ports
from demo.stack.services.seaweedfs import seaweedfs
from demo.stack.stack import Stack
from serving.feedback.schemas import Submission
from serving.feedback.service import FeedbackService
from serving.settings import ServingSettings
from serving.state.opening import open_database
from serving.state.tables import Section
from serving.voice.repository import VoiceStore
from snap2caption.images import WORKING_SIDE
from snap2caption.store import open_store

_NUMBER, _ROUNDS = 48, 5
_ACCEPTING = 2
"""Threads that accept: as many photos as the intake decodes at once."""

_SAID = Submission(rating=2, caption="seen", edited_caption="mine")


def run(folder: Path) -> list[TableRow]:
    """Compare delivery and erasure with the acceptance of as much feedback, each with a photo of the largest size."""
    server, environment, _ = seaweedfs(folder, Ports(folder / "ports.json"))
    os.environ.update(environment)
    settings = ServingSettings(feedback_dir=folder / "feedback", voice_file=folder / "voice.sqlite")
    photos = [_photo(number) for number in range(_NUMBER)]
    with Stack(folder) as stack:
        stack.start([server])
        bench = _Bench(settings, photos)
        rounds = [[_rate(step) for step in (bench.accept, bench.deliver, bench.erase)] for _ in range(1 + _ROUNDS)][1:]
    accepted, *others = ([one[step] for one in rounds] for step in range(3))
    return [
        TableRow(
            what,
            "accept them",
            median(rates),
            median(accepted),
            median(rate / before for rate, before in zip(rates, accepted, strict=True)),
            "per second",
        )
        for what, rates in zip(("deliver feedback to SeaweedFS", "erase all of a creator's"), others, strict=True)
    ]


def _rate(step: Callable[[], None]) -> float:
    began = time.perf_counter()
    step()
    return _NUMBER / (time.perf_counter() - began)


class _Bench:
    def __init__(self, settings: ServingSettings, photos: list[bytes]) -> None:
        self._store = open_store("s3://bench/feedback")
        voices = VoiceStore(open_database(settings, Section.VOICES))
        self._open: Callable[[], FeedbackService] = partial(FeedbackService, settings, self._store, voices)
        self._photos = photos
        self._creator = ""

    def accept(self) -> None:
        """Accept feedback of a new creator; nothing delivers it."""
        self._creator = hashlib.sha256(uuid.uuid4().bytes).hexdigest()
        service = self._open()
        with ThreadPoolExecutor(_ACCEPTING) as pool:
            list(pool.map(lambda photo: service.accept(self._creator, _SAID, photo, None), self._photos))
        service.close()

    def deliver(self) -> None:
        """Deliver what was accepted."""
        self._until(lambda service: service.waiting is not None and not service._outbox.depth().feedback)

    def erase(self) -> None:
        """Erase what was delivered."""
        service = self._open()
        service.erase_all(self._creator)
        service.close()
        self._until(lambda service: service.is_erased(self._creator))

    def _until(self, done: Callable[[FeedbackService], bool]) -> None:
        service = self._open()
        service.start()
        while not done(service):
            time.sleep(0.01)
        service.close()


def _photo(number: int) -> bytes:
    """Return a photo of some 700 kB."""
    noise = np.random.default_rng(number).integers(0, 256, (WORKING_SIDE * 3 // 4, WORKING_SIDE), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).convert("RGB").save(stream, "JPEG", quality=50)
    return stream.getvalue()
