"""Delivery and erasure of feedback beside its acceptance, in one process, on a folder and on a real S3 server.

The server runs twice: on the same cores, and on a core of its own while the service has another one. A store is
elsewhere as a rule, and then takes none of the time in which the service accepts or delivers.
"""

import hashlib
import io
import os
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import count, islice
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt
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

_TEXTURE_SIDE = 2048
"""Pixels of the side of the picture that all photos are cut out of."""

_SLOPE = 1.4
"""How fast amplitudes fall with the frequency. Natural images have about 1, and edges; this gives as many bytes."""

_SAID = Submission(rating=2, caption="seen", edited_caption="mine")


@dataclass(frozen=True, slots=True)
class _Rates:
    """Feedbacks per second of one round."""

    accept: float
    deliver: float
    requests: float
    """What the store takes without an outbox: the requests of a delivery, from as many threads."""
    erase: float
    erase_beside: float
    """While other feedback was delivered."""


def run(folder: Path) -> list[TableRow]:
    """Compare delivery and erasure with the acceptance of as much feedback, each with a photo of the largest size."""
    rows = _measure("a folder", (folder / "store").as_uri(), folder / "beside-folder")
    cores = sorted(os.sched_getaffinity(0))
    rows += _measure_s3("SeaweedFS", folder / "shared", cores, cores)
    if len(cores) > 1:
        rows += _measure_s3("SeaweedFS on another core", folder / "apart", cores[1:2], cores[:1])
    return rows


def _measure_s3(name: str, folder: Path, servers: list[int], ours: list[int]) -> list[TableRow]:
    """Measure with the S3 server on some cores, and this process on others."""
    folder.mkdir()
    server, environment, _ = seaweedfs(folder, Ports(folder / "ports.json"))
    os.environ.update(environment)
    before = os.sched_getaffinity(0)
    with Stack(folder) as stack:
        try:
            os.sched_setaffinity(0, servers)
            stack.start([server])
            os.sched_setaffinity(0, ours)
            return _measure(name, "s3://bench/feedback", folder / "beside")
        finally:
            os.sched_setaffinity(0, before)


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
            (f"erase a creator's in {name}", [one.erase for one in rounds]),
            (f"erase a creator's in {name} while others' is delivered", [one.erase_beside for one in rounds]),
        )
    ]


class _Bench:
    def __init__(self, uri: str, folder: Path) -> None:
        self._settings = ServingSettings(feedback_dir=folder / "feedback", voice_file=folder / "voice.sqlite")
        self._store = open_store(uri)
        self._numbers = count()

    def round(self) -> _Rates:
        """Accept and deliver feedback, and erase it; then once more while `_OTHERS` times as much is delivered."""
        creator, another, others = _creator(), _creator(), [_creator() for _ in range(_OTHERS)]
        photos = self._draw()
        accept = self._rate(lambda service: _accept(service, creator, photos))
        deliver = self._rate(_deliver)
        requests = self._request()
        self._accept_all([another])
        self._rate(_deliver)

        def erase(service: FeedbackService, gone: str) -> None:
            service.erase_all(gone)
            service.start()
            _until(lambda: service.is_erased(gone))

        def erase_beside(service: FeedbackService) -> None:
            erase(service, another)
            if not service._outbox.depth().feedback:
                raise SystemExit("All feedback was delivered before the erasure was done; deliver more beside it.")

        erased = self._rate(lambda service: erase(service, creator))
        self._accept_all(others)
        beside = self._rate(erase_beside)
        self._rate(_deliver)
        return _Rates(accept, deliver, requests, erased, beside)

    def _accept_all(self, creators: list[str]) -> None:
        service = self._open()
        for creator in creators:
            _accept(service, creator, self._draw())
        service.close()

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
        # Asking takes its share of the processor, too.
        time.sleep(0.02)


def _creator() -> str:
    return hashlib.sha256(uuid.uuid4().bytes).hexdigest()


def _photo(number: int) -> bytes:
    """Return a photo of the largest size that is stored, and of as many bytes as photographs of that size have."""
    left, top = np.random.default_rng(number).integers(0, _TEXTURE_SIDE - WORKING_SIDE, 2)
    part = _texture()[top : top + WORKING_SIDE * 3 // 4, left : left + WORKING_SIDE]
    stream = io.BytesIO()
    Image.fromarray(part).save(stream, "JPEG", quality=90)
    return stream.getvalue()


@cache
def _texture() -> npt.NDArray[np.uint8]:
    """Return a colored picture whose amplitudes fall with the frequency, as they do in natural images.

    Field, "Relations between the statistics of natural images and the response properties of cortical cells", 1987.
    """
    generator = np.random.default_rng(0)
    down, across = np.fft.fftfreq(_TEXTURE_SIDE), np.fft.rfftfreq(_TEXTURE_SIDE)
    frequency = np.maximum(np.hypot(down[:, None], across[None, :]), 1 / _TEXTURE_SIDE)
    fields = []
    for _ in range(3):
        white = np.fft.rfft2(generator.standard_normal((_TEXTURE_SIDE, _TEXTURE_SIDE)))
        field = np.fft.irfft2(white / frequency**_SLOPE)
        fields.append(field / field.std())
    light, *colors = fields
    # Most of a photograph's contrast is in its light.
    channels = [128 + 48 * light + 12 * color for color in (*colors, -sum(colors))]
    return np.clip(np.stack(channels, axis=-1), 0, 255).astype(np.uint8)
