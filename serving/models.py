"""Which model is in service: follows the registry's champion, and swaps a new one in only when it is loaded and checked."""

import json
import logging
import shutil
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from serving.engine import Engine, LocalEngine, Task
from serving.metrics import MODEL, SWAPS
from serving.ranking import HashtagTable
from snap2caption.errors import UserError
from snap2caption.post import Request, build_prompt, parse
from snap2caption.registry import CHAMPION, ModelVersion, Registry
from snap2caption.vlm import Decoding, load

logger = logging.getLogger(__name__)

_LAST_GOOD = "last-good.json"


@dataclass(frozen=True, slots=True)
class Served:
    """A model in service with the hashtag table of the dataset that it learned from."""

    engine: Engine
    hashtags: HashtagTable
    version: ModelVersion


class BrokenModelError(UserError):
    """The model can't be loaded, or does not write a caption."""


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
        self._cache_dir = cache_dir
        self._poll_seconds = poll_seconds
        self._dtype = dtype
        self._threads = threads
        self._served: Served | None = None
        self._broken: ModelVersion | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="models", daemon=True)

    def start(self) -> None:
        """Begin to follow the registry. Until there is a champion, nothing is in service."""
        self._thread.start()

    def close(self) -> None:
        """Stop following."""
        self._stop.set()
        self._thread.join()

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
            except UserError as error:
                logger.warning("%s", error)
                if self._served is None:
                    self._serve_last_good()
            self._stop.wait(self._poll_seconds)

    def refresh(self) -> None:
        """Take the champion into service, if it is another version than the one in service. The old one answers until then.

        Raises:
            UserError: the registry is away, or the champion is broken; the old one stays in service.
        """
        champion = self._registry.by_alias(CHAMPION)
        if champion is None or champion == self._broken or (self._served and champion == self._served.version):
            return
        try:
            served = self._load(champion, self._fetch(champion))
        except Exception as error:
            # Tried once: a champion that is broken stays broken until another one is promoted.
            self._broken = champion
            SWAPS.labels("refused").inc()
            kept = self._served.engine.version if self._served else "none"
            raise BrokenModelError(
                f"Version {champion.version} was refused ({error}); {kept} stays in service."
            ) from error
        self._serve(served)

    def _fetch(self, version: ModelVersion) -> Path:
        folder = self._cache_dir / f"version-{version.version}"
        shutil.rmtree(folder, ignore_errors=True)
        return self._registry.download_adapter(version, folder)

    def _load(self, version: ModelVersion, adapter: Path) -> Served:
        vlm = load(version.base, self._models_dir, adapter=adapter, revision=version.base_revision, dtype=self._dtype)
        engine = LocalEngine(vlm, f"{self._registry.name}/{version.version}")
        probe(engine)
        return Served(engine, HashtagTable.fetch(version.dataset_uri), version)

    def _serve(self, served: Served) -> None:
        # One assignment: a batch sees the old model or the new one, never half of each.
        self._served = served
        self._broken = None
        SWAPS.labels("done").inc()
        MODEL.info({"version": served.engine.version, "dataset": served.version.dataset_version})
        logger.info("%s is in service", served.engine.version)
        self._remember(served.version)

    def _remember(self, version: ModelVersion) -> None:
        draft = self._cache_dir / f"{_LAST_GOOD}.part"
        draft.write_text(json.dumps(asdict(version)))
        draft.replace(self._cache_dir / _LAST_GOOD)
        for folder in self._cache_dir.glob("version-*"):
            if folder.name != f"version-{version.version}":
                shutil.rmtree(folder, ignore_errors=True)

    def _serve_last_good(self) -> None:
        try:
            version = ModelVersion(**json.loads((self._cache_dir / _LAST_GOOD).read_text()))
            config = next((self._cache_dir / f"version-{version.version}").rglob("adapter_config.json"))
            served = self._load(version, config.parent)
        except (OSError, ValueError, TypeError, StopIteration):
            return
        except UserError as error:
            logger.warning("the last good model can't be used either: %s", error)
            return
        logger.warning("the registry is away: serving the last good model")
        self._served = served
        MODEL.info({"version": served.engine.version, "dataset": served.version.dataset_version})


def probe(engine: Engine) -> None:
    """Let *engine* caption a picture.

    Raises:
        BrokenModelError: it writes no caption.
    """
    picture = Image.new("RGB", (300, 300), "skyblue")
    ImageDraw.Draw(picture).rectangle((0, 200, 300, 300), fill="seagreen")
    written = engine.write([Task(picture, build_prompt(Request()), (Decoding(max_new_tokens=48),))])
    if not parse(written[0].texts[0]).caption:
        raise BrokenModelError("it wrote no caption for a test picture")
