"""Which model is in service: follows the registry's champion, and swaps a new one in only when it is loaded and checked."""

import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from serving.cache import AdapterCache
from serving.engine import Engine, LocalEngine, Task, write
from serving.metrics import MODEL, SWAPS
from snap2caption.errors import UserError
from snap2caption.hashtags.table import HashtagTable
from snap2caption.post import Request, build_prompt, parse
from snap2caption.registry import CHAMPION, ModelVersion, Registry
from snap2caption.vlm import Decoding, load

logger = logging.getLogger(__name__)

_LONGEST_WAIT = 300.0
"""Seconds until a refused champion is tried again, at most."""

_CLOSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Served:
    """A model in service with the hashtag table of the dataset that it learned from."""

    engine: Engine
    hashtags: HashtagTable
    version: ModelVersion


class BrokenModelError(UserError):
    """The model can't be loaded, or does not write a caption."""


class _Refused:
    """A champion that could not be taken into service, and when it is tried again: a download may fail where the model is good."""

    def __init__(self, version: ModelVersion, attempts: int, wait: float) -> None:
        self.version = version
        self.attempts = attempts
        self.wait = wait
        self._until = time.monotonic() + wait

    def holds(self, version: ModelVersion) -> bool:
        """Whether it is too early to try *version* again."""
        return version == self.version and time.monotonic() < self._until


class Models:
    """The model in service. A thread of its own asks the registry for the champion every *poll_seconds*."""

    def __init__(
        self,
        registry: Registry,
        models_dir: Path,
        cache_dir: Path,
        *,
        poll_seconds: float,
        dtype: str,
        threads: int | None,
    ) -> None:
        self._registry = registry
        self._models_dir = models_dir
        self._cache = AdapterCache(registry, cache_dir)
        self._poll_seconds = poll_seconds
        self._dtype = dtype
        self._threads = threads
        self._served: Served | None = None
        self._refused: _Refused | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="models", daemon=True)

    def start(self) -> None:
        """Begin to follow the registry. Until there is a champion, nothing is in service."""
        self._cache.clean()
        self._thread.start()

    def close(self) -> None:
        """Stop following. A model that is just being fetched is not waited for."""
        self._stop.set()
        self._thread.join(_CLOSE_SECONDS)

    def current(self) -> Served | None:
        """Return the model in service."""
        return self._served

    def _follow(self) -> None:
        if self._threads:
            import torch

            torch.set_num_threads(self._threads)
        while not self._stop.is_set():
            try:
                self.refresh()
            except Exception as error:
                # Whatever it was, following goes on: a service that no longer follows looks healthy and is not.
                logger.warning("%s", error, exc_info=None if isinstance(error, UserError) else error)
                if self._served is None:
                    self._serve_last_good()
            self._stop.wait(self._poll_seconds)

    def refresh(self) -> None:
        """Take the champion into service, if it is another version than the one in service. The old one answers until then.

        Raises:
            UserError: the registry is away, or the champion can't be fetched or is broken; the old one stays in service. It is tried again
                after a while that doubles each time.
        """
        champion = self._registry.by_alias(CHAMPION)
        if champion is None or (self._served and champion == self._served.version):
            return
        if self._refused and self._refused.holds(champion):
            return
        try:
            served = self._take(champion)
        except Exception as error:
            raise self._refuse(champion, error) from error
        self._serve(served)
        self._cache.remember(champion)

    def _refuse(self, version: ModelVersion, error: Exception) -> BrokenModelError:
        known = self._refused if self._refused and self._refused.version == version else None
        attempts = known.attempts + 1 if known else 1
        self._refused = _Refused(version, attempts, min(_LONGEST_WAIT, self._poll_seconds * 2**attempts))
        SWAPS.labels("refused").inc()
        kept = self._served.engine.version if self._served else "nothing"
        return BrokenModelError(
            f"Version {version.version} was refused ({error}); {kept} stays in service, and it is tried again in {self._refused.wait:.0f} s."
        )

    def _take(self, version: ModelVersion) -> Served:
        adapter = self._cache.fetch(version)
        try:
            return self._load(version, adapter)
        except Exception:
            # The copy may be what is damaged.
            self._cache.drop(version)
            raise

    def _load(self, version: ModelVersion, adapter: Path) -> Served:
        vlm = load(version.base, self._models_dir, adapter=adapter, revision=version.base_revision, dtype=self._dtype)
        engine = LocalEngine(vlm, f"{self._registry.name}/{version.version}")
        probe(engine)
        return Served(engine, HashtagTable.fetch(version.dataset_uri), version)

    def _serve(self, served: Served) -> None:
        # One assignment: a batch sees the old model or the new one, never half of each.
        self._served = served
        self._refused = None
        SWAPS.labels("done").inc()
        MODEL.info({"version": served.engine.version, "dataset": served.version.dataset_version})
        logger.info("%s is in service", served.engine.version)

    def _serve_last_good(self) -> None:
        last = self._cache.last_good()
        if last is None:
            return
        try:
            served = self._load(*last)
        except Exception as error:  # noqa: BLE001 - nothing is lost but this way out
            logger.warning("the last good model can't be used either: %s", error)
            return
        logger.warning("the last good model is served")
        self._serve(served)


def probe(engine: Engine) -> None:
    """Let *engine* caption a picture.

    Raises:
        BrokenModelError: it writes no caption.
    """
    picture = Image.new("RGB", (300, 300), "skyblue")
    ImageDraw.Draw(picture).rectangle((0, 200, 300, 300), fill="seagreen")
    written = write(engine, [Task(picture, build_prompt(Request()), (Decoding(max_new_tokens=48),))])
    if not parse(written[0].texts[0]).caption:
        raise BrokenModelError("it wrote no caption for a test picture")
