"""Which model is in service: follows the registry's champion, and swaps a new one in only when it is loaded and checked."""

import hashlib
import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from serving.engines.base import Engine, GenerationRequest, write
from serving.engines.factory import Loader
from serving.models.adapter_cache import AdapterCache
from serving.models.trust import DistrustedError, DistrustReason, TrustPolicy
from serving.observability.metrics import CHAMPION_REFUSED, MODEL, REGISTRY_CONTACT, SWAPS, tell_models
from snap2caption.errors import UserError
from snap2caption.hashtags.table import HashtagTable
from snap2caption.post import Request, parse
from snap2caption.registry.client import CHALLENGER, CHAMPION, ModelVersion, Registry, VersionError
from snap2caption.registry.model_card import NO_CARD, ModelCard, read_card
from snap2caption.vlm import Decoding

logger = logging.getLogger(__name__)

_LONGEST_WAIT = 300.0
"""Seconds until a refused champion is tried again, at most."""

_RETIREMENT = 300.0
"""Seconds until a model out of service is closed: longer than any caption takes."""

_CLOSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model in service with the hashtag table of the dataset that it learned from."""

    engine: Engine
    hashtags: HashtagTable
    version: ModelVersion
    card: ModelCard = NO_CARD
    """What is known of its base."""


@dataclass(frozen=True, slots=True)
class EngineContact:
    """Whether another server answered when it was last asked, and when it last did (`time.monotonic`)."""

    reachable: bool
    at: float | None


class BrokenModelError(UserError):
    """The model can't be loaded, or does not write a caption."""


class _RejectedChampion:
    """A champion that could not be taken into service, and when it is tried again: a download may fail where the model is good."""

    def __init__(
        self, number: int, version: ModelVersion | None, reason: DistrustReason, attempts: int, wait: float
    ) -> None:
        self.number = number
        self.version = version
        self.reason = reason
        self.attempts = attempts
        self.wait = wait
        self._until = time.monotonic() + wait

    def holds(self, version: ModelVersion) -> bool:
        """Whether it is too early to try *version* again. One that was signed since is tried at once."""
        signed = self.version is not None and version.signature != self.version.signature
        return version == self.version and not signed and time.monotonic() < self._until


class ModelManager:
    """The model in service. A thread of its own asks the registry for the champion every *poll_seconds*."""

    def __init__(
        self,
        registry: Registry,
        loader: Loader,
        cache_dir: Path,
        *,
        poll_seconds: float,
        trust: TrustPolicy,
        canary_share: float = 0.0,
    ) -> None:
        self._registry = registry
        self._loader = loader
        self._cache = AdapterCache(registry, cache_dir)
        self._poll_seconds = poll_seconds
        self._trust = trust
        self._canary_share = canary_share
        self._served: ServedModel | None = None
        self._previous: ServedModel | None = None
        self._challenger: ServedModel | None = None
        # Out of service, and since when: what they write about may still be waited for.
        self._retired: list[tuple[float, Engine]] = []
        self._contact: EngineContact | None = None
        self._refused: dict[str, _RejectedChampion] = {}
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

    def current(self) -> ServedModel | None:
        """Return the model in service."""
        return self._served

    @property
    def contact(self) -> EngineContact | None:
        """How it stands with the registry; None before it was asked."""
        return self._contact

    @property
    def refused(self) -> tuple[int, DistrustReason] | None:
        """The number of the champion that is refused, and why; None: it is in service, or there is none."""
        refused = self._refused.get(CHAMPION)
        return (refused.number, refused.reason) if refused else None

    def choose(self, key: str) -> ServedModel | None:
        """Return the model that answers a request: the same for the same *key*, the challenger for the share of keys that are its."""
        challenger = self._challenger
        return challenger if challenger and _place(key) < self._canary_share else self._served

    def _follow(self) -> None:
        while not self._stop.is_set():
            for refresh in (self.refresh, self._refresh_challenger):
                try:
                    refresh()
                except Exception as error:
                    # Whatever it was, following goes on: a service that no longer follows looks healthy and is not.
                    logger.warning("%s", error, exc_info=None if isinstance(error, UserError) else error)
                    if self._served is None:
                        self._serve_last_good()
            self._stop.wait(self._poll_seconds)

    def refresh(self) -> None:
        """Take the champion into service, if it is another version than the one in service. The old one answers until then.

        The one before stays loaded, so that a rollback is served at once; so is a challenger that is promoted.

        Raises:
            UserError: the registry is away, or the champion can't be fetched or is broken; the old one stays in service. It is tried again
                after a while that doubles each time.
        """
        champion = self._named(CHAMPION)
        if champion is None or (self._served and champion == self._served.version):
            self._admit(CHAMPION)
            return
        loaded = next((one for one in (self._previous, self._challenger) if one and one.version == champion), None)
        served = loaded or self._take(CHAMPION, champion)
        if served is None:
            return
        self._serve(served, "returned" if loaded else "done")
        # One that was loaded already may have lost its copy since.
        self._cache.fetch(champion)
        self._cache.remember(champion, kept=self._previous.version if self._previous else None)

    def _refresh_challenger(self) -> None:
        """Take the challenger in beside the champion, if it is to have a share of the requests; let it go when it is none any longer."""
        if not self._canary_share or self._served is None:
            return
        version = self._named(CHALLENGER)
        if version is None or version == self._served.version:
            before, self._challenger = self._challenger, None
            self._retire(before)
        elif self._challenger is None or self._challenger.version != version:
            # Whatever comes of the new one, the old one is the challenger no longer.
            before, self._challenger = self._challenger, None
            self._retire(before)
            self._challenger = self._take(CHALLENGER, version)
            if self._challenger:
                logger.info("%s answers %.0f %%", self._challenger.engine.version, 100 * self._canary_share)
        self._forget_others()

    def _named(self, alias: str) -> ModelVersion | None:
        try:
            version = self._registry.by_alias(alias)
        except VersionError as error:
            self._answered()
            known = self._refused.get(alias)
            if known is None or known.number != error.number:
                SWAPS.labels("refused").inc()
            self._refused[alias] = _RejectedChampion(error.number, None, DistrustReason.TAGS, 1, 0)
            self._tell_refusal()
            raise
        except UserError:
            self._contact = EngineContact(reachable=False, at=self._contact.at if self._contact else None)
            raise
        self._answered()
        return version

    def _answered(self) -> None:
        self._contact = EngineContact(reachable=True, at=time.monotonic())
        REGISTRY_CONTACT.set_to_current_time()

    def _refuse(self, alias: str, version: ModelVersion, error: Exception) -> BrokenModelError:
        known = self._refused.get(alias)
        attempts = known.attempts + 1 if known and known.version == version else 1
        wait = min(_LONGEST_WAIT, self._poll_seconds * 2**attempts)
        reason = error.reason if isinstance(error, DistrustedError) else DistrustReason.BROKEN
        self._refused[alias] = _RejectedChampion(version.version, version, reason, attempts, wait)
        SWAPS.labels("refused").inc()
        self._tell_refusal()
        kept = self._served.engine.version if self._served else "nothing"
        return BrokenModelError(
            f"Version {version.version} was refused ({error}); {kept} stays in service, and it is tried again in {wait:.0f} s."
        )

    def _admit(self, alias: str) -> None:
        """Forget what was refused under *alias*: it names another version now, or the same one is good after all."""
        self._refused.pop(alias, None)
        self._tell_refusal()

    def _tell_refusal(self) -> None:
        for reason in DistrustReason:
            CHAMPION_REFUSED.labels(reason).set(self.refused is not None and self.refused[1] is reason)

    def _take(self, alias: str, version: ModelVersion) -> ServedModel | None:
        """Fetch, load and check the version that *alias* names; None if it was refused too short a while ago."""
        refused = self._refused.get(alias)
        if refused and refused.holds(version):
            return None
        try:
            adapter = self._cache.fetch(version)
            try:
                served = self._load(version, adapter)
            except Exception:
                # The copy may be what is damaged.
                self._cache.drop(version)
                raise
        except Exception as error:
            raise self._refuse(alias, version, error) from error
        self._admit(alias)
        return served

    def _load(self, version: ModelVersion, adapter: Path) -> ServedModel:
        self._trust.check(self._registry.name, version, adapter)
        engine = self._loader.load(version, adapter, f"{self._registry.name}/{version.version}")
        probe(engine)
        return ServedModel(
            engine, HashtagTable.fetch(version.dataset_uri), version, read_card(version.base, self._trust.models_dir)
        )

    def _serve(self, served: ServedModel, outcome: str) -> None:
        before, self._previous = self._previous, self._served
        # One assignment: a photo is written about by the old model or the new one, never by half of each.
        self._served = served
        self._admit(CHAMPION)
        SWAPS.labels(outcome).inc()
        MODEL.info({"version": served.engine.version, "dataset": served.version.dataset_version})
        self._retire(before)
        self._forget_others()
        logger.info("%s is in service", served.engine.version)

    def _retire(self, model: ServedModel | None) -> None:
        """Close *model* a while after nobody is sent to it any longer, and those whose time has come."""
        in_use = {id(one.engine) for one in (self._served, self._previous, self._challenger) if one}
        if model and id(model.engine) not in in_use:
            self._retired.append((time.monotonic(), model.engine))
        while self._retired and time.monotonic() - self._retired[0][0] > _RETIREMENT:
            _, engine = self._retired.pop(0)
            engine.close()

    def _forget_others(self) -> None:
        """Let the metrics tell of the models that are loaded, and of no others: there is no end of versions."""
        # What is named last counts: a challenger that is promoted is the champion.
        loaded = {"previous": self._previous, "challenger": self._challenger, "champion": self._served}
        tell_models({one.engine.version: role for role, one in loaded.items() if one})

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
        self._serve(served, "done")


def _place(key: str) -> float:
    """Return where *key* lies between 0 and 1: evenly spread, and always the same."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) / 2**64


def probe(engine: Engine) -> None:
    """Let *engine* caption a picture.

    Raises:
        BrokenModelError: it writes no caption.
    """
    picture = Image.new("RGB", (300, 300), "skyblue")
    ImageDraw.Draw(picture).rectangle((0, 200, 300, 300), fill="seagreen")
    written = write(engine, [GenerationRequest(picture, Request(), (Decoding(max_new_tokens=48),))])
    if not parse(written[0].texts[0]).caption:
        raise BrokenModelError("it wrote no caption for a test picture")
