"""Model manager: follows the registry's champion, and swaps a new one in only after it was loaded and probed.

Where a model is named, that one is served untrained, until a champion on the same base is promoted.
"""

import hashlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from serving.engines.base import Engine
from serving.engines.factory import Loader
from serving.models.adapter_cache import AdapterCache
from serving.models.probe import BrokenModelError, probed
from serving.models.rejections import Rejections
from serving.models.served_model import ServedModel
from serving.models.trust import DistrustReason, TrustPolicy
from serving.models.untrained import UntrainedModel
from serving.observability.metrics import MODEL, REGISTRY_CONTACT, SWAPS, set_loaded_models
from snap2caption.errors import UserError
from snap2caption.hashtags.table import HashtagTable
from snap2caption.registry.client import CHALLENGER, CHAMPION, Registry
from snap2caption.registry.model_card import read_card
from snap2caption.registry.versions import ModelVersion, VersionError

logger = logging.getLogger(__name__)

_RETIREMENT_SECONDS = 300.0
"""How long a replaced model stays open: longer than any caption takes."""

_CLOSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class DependencyContact:
    """The outcome of the last request to another server."""

    reachable: bool
    at: float | None
    """When it last answered, by `time.monotonic`; None if it never did."""


class ModelManager:
    """Keeps a model in service. A background thread polls the registry every *poll_seconds*."""

    def __init__(
        self,
        registry: Registry,
        loader: Loader,
        cache_dir: Path,
        *,
        poll_seconds: float,
        trust: TrustPolicy,
        canary_share: float = 0.0,
        untrained: UntrainedModel | None = None,
        switch_to_champion: bool = True,
        probes: bool = True,
    ) -> None:
        """Name what is served.

        Args:
            registry: the registry of models.
            loader: makes engines.
            cache_dir: folder of the adapters in service.
            poll_seconds: interval between two checks of the registry.
            trust: the requirements for the registry's models.
            canary_share: the share of all keys that the challenger answers.
            untrained: a model by name. It is served while the registry has no champion on the same base.
            switch_to_champion: whether that model makes way for such a champion.
            probes: whether a version must caption a test picture first.
        """
        self._registry = registry
        self._loader = loader
        self._cache = AdapterCache(registry, cache_dir)
        self._poll_seconds = poll_seconds
        self._trust = trust
        self._probes = probes
        self._canary_share = canary_share
        self._untrained = untrained
        self._follows_registry = untrained is None or switch_to_champion
        self._served: ServedModel | None = None
        self._previous: ServedModel | None = None
        self._challenger: ServedModel | None = None
        # Replaced engines, and when they were replaced. They may still have requests in flight.
        self._retired: list[tuple[float, Engine]] = []
        self._contact: DependencyContact | None = None
        self._had_no_champion = False
        self._rejections = Rejections(poll_seconds)
        self._warned = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="models", daemon=True)

    def start(self) -> None:
        """Start polling the registry. No model is in service until there is a champion."""
        self._cache.clean()
        self._thread.start()

    def close(self) -> None:
        """Stop polling, without waiting for a download in progress."""
        self._stop.set()
        self._thread.join(_CLOSE_SECONDS)

    def current(self) -> ServedModel | None:
        """Return the model in service, or None."""
        return self._served

    @property
    def contact(self) -> DependencyContact | None:
        """The last contact with the registry; None before the first request.

        It is also None as long as a model is served by name and there seems to be no registry.
        """
        missing = self._contact is not None and self._contact.at is None
        return None if self._untrained and missing else self._contact

    @property
    def awaits_first_champion(self) -> bool:
        """Whether no model is in service since the registry answered that there was no champion.

        It stays so while the first one is loaded: every other replica waits for it, too.
        """
        return self._had_no_champion and self._served is None and self._untrained is None

    @property
    def refused(self) -> tuple[int, DistrustReason] | None:
        """The version number of a rejected champion, and the reason; None if the champion is in service or absent."""
        return self._rejections.of(CHAMPION)

    def choose(self, key: str) -> ServedModel | None:
        """Return the model for a request, or None. The canary share of all keys goes to the challenger.

        The same *key* always gets the same model.
        """
        challenger = self._challenger
        return challenger if challenger and _bucket(key) < self._canary_share else self._served

    def _poll(self) -> None:
        while not self._stop.is_set():
            for refresh in (self.refresh, self._refresh_challenger) if self._follows_registry else ():
                if not self._attempt(refresh) and self._served is None:
                    self._serve_last_good()
            if self._untrained and self._served is None and self._untrained.due:
                self._attempt(self.serve_untrained)
            self._stop.wait(self._poll_seconds)

    def _attempt(self, step: Callable[[], None]) -> bool:
        """Run *step*, and return whether it succeeded."""
        try:
            step()
        except Exception as error:
            # Keep polling after any error: a service that stopped polling would look healthy but never update.
            trace = None if isinstance(error, UserError) else error
            # The same sentence at every poll says nothing new.
            repeated = trace is None and str(error) == self._warned
            logger.log(logging.DEBUG if repeated else logging.WARNING, "%s", error, exc_info=trace)
            self._warned = str(error)
            return False
        return True

    def serve_untrained(self) -> None:
        """Put the model that was named into service, without asking the registry.

        Raises:
            UserError: it can't be loaded, or generates no caption.
        """
        if self._untrained:
            self._swap_in(self._untrained.load(), "done")

    def refresh(self) -> None:
        """Put the registry's champion into service, if it is not yet. The old model answers until the swap.

        The previous model stays loaded, so that a rollback takes effect at once. A challenger that is promoted is
        loaded already, too.

        Raises:
            UserError: the registry is unavailable, or the champion can't be downloaded or is broken. The old model
                stays in service, and the champion is retried with exponential backoff.
        """
        champion = self._resolve(CHAMPION)
        self._had_no_champion |= champion is None
        if champion is None or (self._served and champion == self._served.version):
            self._rejections.clear(CHAMPION)
            return
        candidates = (self._previous, self._challenger)
        loaded = next((model for model in candidates if model and model.version == champion), None)
        served = loaded or self._fetch_and_load(CHAMPION, champion)
        if served is None:
            return
        self._swap_in(served, "returned" if loaded else "done")
        # The cached copy of a model that was loaded already may have been removed since.
        self._cache.fetch(champion)
        self._cache.remember(champion, kept=self._previous.version if self._previous else None)

    def _refresh_challenger(self) -> None:
        """Load the challenger next to the champion if there is a canary share, and unload it when the alias moves."""
        if not self._canary_share or self._served is None:
            return
        version = self._resolve(CHALLENGER)
        if version is None or version == self._served.version:
            before, self._challenger = self._challenger, None
            self._retire(before)
        elif self._challenger is None or self._challenger.version != version:
            # The old challenger retires even if the new one can't be loaded.
            before, self._challenger = self._challenger, None
            self._retire(before)
            self._challenger = self._fetch_and_load(CHALLENGER, version)
            if self._challenger:
                logger.info(
                    "the challenger %s answers %.0f %% of the requests",
                    self._challenger.engine.version,
                    100 * self._canary_share,
                )
        self._update_model_metrics()

    def _resolve(self, alias: str) -> ModelVersion | None:
        try:
            version = self._registry.by_alias(alias)
        except VersionError as error:
            self._record_contact()
            self._rejections.add_invalid(alias, error.number)
            raise
        except UserError:
            self._contact = DependencyContact(reachable=False, at=self._contact.at if self._contact else None)
            raise
        self._record_contact()
        if version and self._untrained and version.base != self._untrained.base:
            logger.debug("%s, on %s, is not served in place of %s", alias, version.base, self._untrained.base)
            return None
        return version

    def _record_contact(self) -> None:
        self._contact = DependencyContact(reachable=True, at=time.monotonic())
        REGISTRY_CONTACT.set_to_current_time()

    def _reject(self, alias: str, version: ModelVersion, error: Exception) -> BrokenModelError:
        wait = self._rejections.add(alias, version, error)
        kept = f"{self._served.engine.version} stays in service" if self._served else "no model is in service"
        return BrokenModelError(
            f"Version {version.version} was rejected ({error}); {kept}, and it is retried in {wait:.0f} s."
        )

    def _fetch_and_load(self, alias: str, version: ModelVersion) -> ServedModel | None:
        """Download, load and probe the version that *alias* names; return None while its backoff lasts."""
        if self._rejections.hold(alias, version):
            return None
        try:
            adapter = self._cache.fetch(version)
            try:
                served = self._load(version, adapter)
            except Exception:
                # The cached copy may be damaged.
                self._cache.drop(version)
                raise
        except Exception as error:
            raise self._reject(alias, version, error) from error
        self._rejections.clear(alias)
        return served

    def _load(self, version: ModelVersion, adapter: Path) -> ServedModel:
        self._trust.check(self._registry.name, version, adapter)
        engine = self._loader.load(version, adapter, f"{self._registry.name}/{version.version}")
        if self._probes:
            probed(engine)
        return ServedModel(
            engine, HashtagTable.fetch(version.dataset_uri), version, read_card(version.base, self._trust.models_dir)
        )

    def _swap_in(self, served: ServedModel, outcome: str) -> None:
        before, self._previous = self._previous, self._served
        # One assignment: a photo is captioned by the old model or the new one, never by a mix of both.
        self._served = served
        self._rejections.clear(CHAMPION)
        SWAPS.labels(outcome).inc()
        MODEL.info(
            {
                "version": served.engine.version,
                "dataset": served.version.dataset_version if served.version else "",
            }
        )
        self._retire(before)
        self._update_model_metrics()
        logger.info("%s is in service", served.engine.version)

    def _retire(self, model: ServedModel | None) -> None:
        """Schedule an unused *model* for closing, and close the engines whose retirement period is over."""
        in_use = {id(used.engine) for used in (self._served, self._previous, self._challenger) if used}
        if model and id(model.engine) not in in_use:
            self._retired.append((time.monotonic(), model.engine))
        while self._retired and time.monotonic() - self._retired[0][0] > _RETIREMENT_SECONDS:
            _, engine = self._retired.pop(0)
            engine.close()

    def _update_model_metrics(self) -> None:
        """Export metrics of loaded models only, because the number of versions is unlimited."""
        # The last entry wins: a challenger that was promoted is the champion.
        loaded = {"previous": self._previous, "challenger": self._challenger, "champion": self._served}
        set_loaded_models({model.engine.version: role for role, model in loaded.items() if model})

    def _serve_last_good(self) -> None:
        last = self._cache.last_good()
        if last is None or (self._untrained and last[0].base != self._untrained.base):
            return
        try:
            served = self._load(*last)
        except Exception as error:  # noqa: BLE001 - this is only a fallback
            logger.warning("the last good model can't be loaded either: %s", error)
            return
        logger.warning("the last good model is put into service until the champion can be loaded")
        self._swap_in(served, "done")


def _bucket(key: str) -> float:
    """Return a uniform hash of *key* in [0, 1)."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) / 2**64
