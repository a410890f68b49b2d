"""Latency of the state in SQLite and in PostgreSQL: of each operation, and of requests to the service."""

import io
import os
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from limits import RateLimitItemPerHour
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from PIL import Image

from benchmarks.table import TableRow, compare
from demo.stack.ports import HOST, Ports
from demo.stack.service import Service
from demo.stack.stack import Stack
from serving.feedback.delivery.claims import Claims
from serving.feedback.outbox import Outbox
from serving.feedback.request_cache import CachedRequest, RequestCache
from serving.keys.store import KeyStore, digest_of, new_creator
from serving.settings import ServingSettings
from serving.state.database import Database
from serving.state.opening import open_database
from serving.state.rates import DatabaseRates
from serving.state.tables import Section
from serving.voice.repository import VoiceStore
from snap2caption.feedback import Feedback, Words
from tests.support import postgres_server

_TIMES = 50
"""Operations in a run, so that a run takes long enough to be timed."""

_PEER = "PostgreSQL"
_PHOTO = os.urandom(100_000)
"""As large as a photo that is kept."""


def run(folder: Path) -> list[TableRow]:
    """Compare SQLite's files in *folder* with a PostgreSQL on this machine; both flush to the disk at each commit."""
    with postgres_server.run(folder / "postgresql", durable=True) as url:
        files = {
            "feedback_dir": folder / "feedback",
            "voice_file": folder / "voice.sqlite",
            "key_file": folder / "keys.sqlite",
        }
        both = ServingSettings(**files), ServingSettings(**files, database_url=url)
        with ExitStack() as stack:
            operations = [stack.enter_context(_operations(settings)) for settings in both]
            rows = [_compare(f"{name}, one call", *(one[name] for one in operations)) for name in operations[0]]
        with ExitStack() as stack:
            requests = [stack.enter_context(_requests(folder / kind, url if kind else "")) for kind in ("", "shared")]
            return rows + [_compare(f"{name}, one client", *(one[name] for one in requests)) for name in requests[0]]


@contextmanager
def _operations(settings: ServingSettings) -> Iterator[dict[str, Callable[[], object]]]:
    """Open the state, and yield its operations by what they do."""
    with ExitStack() as stack:
        keys, voices, feedback = (
            _open(stack, settings, section) for section in (Section.KEYS, Section.VOICES, Section.FEEDBACK)
        )
        store, captions = KeyStore(keys), VoiceStore(voices)
        digest, creator = digest_of(store.add(new_creator())[0].encode()), new_creator()
        shared = settings.database_url is not None
        rates = DatabaseRates(_open(stack, settings, Section.RATES)) if shared else MemoryStorage()
        limiter, rate = SlidingWindowCounterRateLimiter(rates), RateLimitItemPerHour(10**9)
        cache = RequestCache(feedback, seconds=3600, max_bytes=10**10)
        outbox, claims = Outbox(feedback, max_bytes=10**10), Claims(feedback, "bench")
        content = CachedRequest(variants=(Words(caption="hi"),), model_version="m/1")
        cache.keep("known", creator, content, _PHOTO)

        def accept() -> None:
            said = Feedback(id=uuid.uuid4().hex, creator=creator, received=datetime.now(UTC), photo="f" * 64)
            outbox.add(said, _PHOTO, "digest")

        def deliver() -> None:
            (entry,) = claims.feedback(1)
            claims.mark_stored([entry.id])

        yield {
            "look up a key": partial(store.look_up, digest),
            "count a hit of a rate (SQLite: in memory)": partial(limiter.hit, rate, creator),
            "read a voice": partial(captions.captions, creator, 3),
            "save a caption": partial(captions.add, creator, "golden hour", "one"),
            "keep a request of 100 kB": lambda: cache.keep(uuid.uuid4().hex, creator, content, _PHOTO),
            "find a request of 100 kB": partial(cache.find, "known", creator),
            "accept a feedback of 100 kB": accept,
            "claim one entry and mark it done": deliver,
        }


def _open(stack: ExitStack, settings: ServingSettings, section: Section) -> Database:
    database = open_database(settings, section)
    stack.callback(database.close)
    return database


@contextmanager
def _requests(folder: Path, url: str) -> Iterator[dict[str, Callable[[], object]]]:
    """Start the service on the database at *url*, or on files, and yield requests to it."""
    folder.mkdir(exist_ok=True)
    port = Ports(folder / "ports.json").get("serving")
    address = f"http://{HOST}:{port}"
    settings = {
        "SNAP2CAPTION_STATE_DIR": str(folder / "state"),
        "SNAP2CAPTION_FEEDBACK_URI": (folder / "store").as_uri(),
        "SNAP2CAPTION_MLFLOW_TRACKING_URI": f"http://{HOST}:9",
        "SNAP2CAPTION_SERVING_KEY_FILE": str(folder / "keys.sqlite"),
        "SNAP2CAPTION_SERVING_REQUESTS_PER_MINUTE": str(10**9),
        **({"SNAP2CAPTION_SERVING_DATABASE_URL": url} if url else {}),
    }
    database = open_database(ServingSettings(key_file=folder / "keys.sqlite", database_url=url or None), Section.KEYS)
    key, _ = KeyStore(database).add(new_creator())
    database.close()
    command = ("serve", "--port", str(port), "--model", "photographer", "--engine", f"http://{HOST}:9", "--no-page")
    service = Service(
        name="serving",
        command=(sys.executable, "-m", "snap2caption", *command),
        environment=os.environ | settings,
        ready_url=f"{address}/healthz",
    )
    stream = io.BytesIO()
    Image.effect_noise((640, 480), 80).save(stream, "JPEG")
    with Stack(folder) as stack, httpx.Client(base_url=address, headers={"X-API-Key": key}, verify=False) as client:  # noqa: S501
        stack.start([service])

        def ask(method: str, path: str, **content: Any) -> None:
            client.request(method, path, **content).raise_for_status()

        said = {"rating": "2", "caption": "seen", "edited_caption": "mine"}
        yield {
            "GET /v1/voice": partial(ask, "GET", "/v1/voice"),
            "PUT /v1/voice": partial(ask, "PUT", "/v1/voice", json={"captions": ["golden hour"]}),
            "POST /v1/feedback with a photo": partial(
                ask, "POST", "/v1/feedback", data=said, files={"image": stream.getvalue()}
            ),
        }


def _compare(what: str, ours: Callable[[], object], theirs: Callable[[], object]) -> TableRow:
    """Compare in milliseconds for each call."""
    repeat = partial(_repeat, ours), partial(_repeat, theirs)
    row = compare(what, _PEER, *repeat)
    scale = 1000 / _TIMES
    return TableRow(what, _PEER, row.ours * scale, row.theirs * scale, row.ratio, "ms")


def _repeat(work: Callable[[], object]) -> None:
    for _ in range(_TIMES):
        work()
