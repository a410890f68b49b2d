"""Delivery and erasure of feedback beside its acceptance, in one process, on a folder and on a real S3 server."""

import hashlib
import io
import os
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image
from prometheus_client import REGISTRY

from benchmarks.table import TableRow
from demo.stack.ports import Ports
from demo.stack.services.seaweedfs import seaweedfs
from demo.stack.stack import Stack
from serving.feedback.delivery.delivery_lane import THREADS
from serving.feedback.photo import encode_photo
from serving.feedback.schemas import Submission
from serving.feedback.service import FeedbackService
from serving.settings import ServingSettings
from serving.state.opening import open_database
from serving.state.tables import Section
from serving.voice.repository import VoiceStore
from snap2caption.images import WORKING_SIDE
from snap2caption.store import open_store

_NUMBER, _ROUNDS = 96, 3
_ACCEPTING = 2
"""Threads that accept: as many photos as the intake decodes at once."""

_OTHERS = 3
"""How many times as much is delivered beside an erasure: so much that some of it still waits when that is done."""

_SAID = Submission(rating=2, caption="seen", edited_caption="mine")


@dataclass(frozen=True, slots=True)
class _Rates:
    """Feedbacks per second of one round."""

    accept: float
    deliver: float
    requests: float
    """What the store takes without an outbox: the requests of a delivery, from as many threads."""
    erase: float
    """While other feedback was delivered."""


def run(folder: Path) -> list[TableRow]:
    """Compare delivery and erasure with the acceptance of as much feedback, each with a photo of the largest size."""
    server, environment, _ = seaweedfs(folder, Ports(folder / "ports.json"))
    os.environ.update(environment)
    rows = _measure("a folder", (folder / "store").as_uri(), folder / "beside-folder")
    with Stack(folder) as stack:
        stack.start([server])
        return rows + _measure("SeaweedFS", "s3://bench/feedback", folder / "beside-s3")


def _measure(name: str, uri: str, folder: Path) -> list[TableRow]:
    bench = _Bench(uri, folder)
    rounds = [bench.round() for _ in range(1 + _ROUNDS)][1:]
    accepted = [one.accept for one in rounds]
    return [
        TableRow(
            what,
            "accept them",
            median(rates),
            median(accepted),
            median(rate / before for rate, before in zip(rates, accepted, strict=True)),
            "per second",
        )
        for what, rates in (
            (f"deliver feedback to {name}", [one.deliver for one in rounds]),
            (f"the requests of a delivery to {name} alone", [one.requests for one in rounds]),
            (f"erase a creator's in {name} while others' is delivered", [one.erase for one in rounds]),
        )
    ]


class _Bench:
    def __init__(self, uri: str, folder: Path) -> None:
        self._settings = ServingSettings(feedback_dir=folder / "feedback", voice_file=folder / "voice.sqlite")
        self._store = open_store(uri)
        self._numbers = count()

    def round(self) -> _Rates:
        """Accept feedback and deliver it. Then erase it while `_OTHERS` times as much is delivered."""
        creator, others = _creator(), [_creator() for _ in range(_OTHERS)]
        photos = self._draw()
        accept = self._rate(lambda service: _accept(service, creator, photos))
        deliver = self._rate(_deliver)
        requests = self._request()
        service = self._open()
        for other in others:
            _accept(service, other, self._draw())
        service.close()

        def erase(service: FeedbackService) -> None:
            service.erase_all(creator)
            service.start()
            _until(lambda: service.is_erased(creator))
            if not service._outbox.depth().feedback:
                raise SystemExit("All feedback was delivered before the erasure was done; deliver more beside it.")

        erased = self._rate(erase)
        self._rate(_deliver)
        return _Rates(accept, deliver, requests, erased)

    def _request(self) -> float:
        """Return how many feedbacks' requests the store answers per second."""
        numbers = range(_NUMBER)
        bodies = [encode_photo(photo, self._settings.max_pixels) for photo in self._draw()]
        digests = [hashlib.sha256(body).hexdigest() for body in bodies]
        small = b"x" * 500
        digest = hashlib.sha256(small).hexdigest()

        def send(number: int) -> None:
            key = uuid.uuid4().hex
            self._store.create(f"bare/pointers/{key}", small, sha256=digest)
            self._store.put(f"bare/uses/{key}", b"", sha256=hashlib.sha256().hexdigest())
            self._store.put(f"bare/photos/{key}", bodies[number], sha256=digests[number])
            self._store.put(f"bare/records/{key}", small, sha256=digest)
            self._store.exists(f"bare/erased/{key}")
            self._store.exists(f"bare/left/{key}")

        began = time.perf_counter()
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(send, numbers))
        return _NUMBER / (time.perf_counter() - began)

    def _rate(self, step: Callable[[FeedbackService], None]) -> float:
        """Return how many feedbacks a second *step* takes. Opening the databases takes no part."""
        service = self._open()
        began = time.perf_counter()
        step(service)
        seconds = time.perf_counter() - began
        service.close()
        return _NUMBER / seconds

    def _open(self) -> FeedbackService:
        voices = VoiceStore(open_database(self._settings, Section.VOICES))
        return FeedbackService(self._settings, self._store, voices)

    def _draw(self) -> list[bytes]:
        """Return photos that were not used before: a store that has one already has more to do."""
        return [_photo(number) for number in islice(self._numbers, _NUMBER)]


def _accept(service: FeedbackService, creator: str, photos: list[bytes]) -> None:
    with ThreadPoolExecutor(_ACCEPTING) as pool:
        list(pool.map(lambda photo: service.accept(creator, _SAID, photo, None), photos))


def _deliver(service: FeedbackService) -> None:
    waiting, before = service._outbox.depth().feedback, _stored()
    service.start()
    # Not by asking the database: that would take turns with the delivery.
    _until(lambda: _stored() - before >= waiting)


def _stored() -> float:
    """Return how much feedback this process has delivered so far."""
    return REGISTRY.get_sample_value("snap2caption_feedback_deliveries_total", {"outcome": "stored"}) or 0.0


def _until(done: Callable[[], bool]) -> None:
    while not done():
        time.sleep(0.01)


def _creator() -> str:
    return hashlib.sha256(uuid.uuid4().bytes).hexdigest()


def _photo(number: int) -> bytes:
    """Return a photo of 580 kB, which is stored as one of 1.1 MB: noise at the quality of stored photos."""
    noise = np.random.default_rng(number).integers(0, 256, (WORKING_SIDE * 3 // 4, WORKING_SIDE), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).convert("RGB").save(stream, "JPEG", quality=50)
    return stream.getvalue()
