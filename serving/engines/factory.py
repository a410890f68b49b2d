"""Engine factory: makes an engine from a model version, in this process or on a remote server."""

from pathlib import Path
from typing import Protocol

from serving.engines.base import Engine
from serving.engines.openai import RemoteEngine
from serving.prompting.trained import TrainedTemplate
from serving.settings import ServingSettings
from snap2caption.registry.versions import ModelVersion
from snap2caption.settings import Settings


class Loader(Protocol):
    """Makes engines from model versions."""

    def load(self, version: ModelVersion, adapter: Path, name: str) -> Engine:
        """Return an engine called *name*: the version's base model with the adapter in the folder *adapter*.

        Raises:
            UserError: the base is missing, the adapter is damaged, or the server refuses it.
        """
        ...


class RemoteLoader:
    """Loads adapters on an OpenAI-compatible server.

    Each version gets its own name there. Under a name that is already known, the server may keep the old adapter.
    """

    def __init__(self, settings: ServingSettings) -> None:
        self._settings = settings

    def load(self, version: ModelVersion, adapter: Path, name: str) -> Engine:
        """Load the adapter on the server, and return an engine that uses it."""
        engine = RemoteEngine(
            self._settings.engine_url or "",
            self._settings.engine_key.get_secret_value(),
            version=name,
            name=name.replace("/", "-"),
            base=version.base,
            prompts=TrainedTemplate(),
            timeout=self._settings.engine_seconds,
            concurrent=4 * self._settings.max_batch,
            context=self._settings.engine_context,
            voice_tokens=self._settings.voice_tokens,
        )
        engine.load(adapter)
        return engine


def make_loader(settings: ServingSettings) -> Loader:
    """Return the loader that *settings* ask for: remote if they name a server, otherwise local."""
    if settings.engine_url:
        return RemoteLoader(settings)
    # A gateway to a remote server needs no torch, whose import takes seconds and hundreds of megabytes.
    from serving.engines.local.loader import LocalLoader

    return LocalLoader(settings, Settings().models_dir)
