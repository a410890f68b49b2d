"""How a version of the model becomes an engine: loaded in this process, or handed to a server elsewhere."""

from pathlib import Path
from typing import Protocol

from serving.engines.base import Engine
from serving.engines.openai import RemoteEngine
from serving.settings import ServingSettings
from snap2caption.registry.client import ModelVersion
from snap2caption.settings import Settings


class Loader(Protocol):
    """Makes engines."""

    def load(self, version: ModelVersion, adapter: Path, name: str) -> Engine:
        """Return an engine called *name* over the version's base and the adapter in the folder *adapter*.

        Raises:
            UserError: the base is not there, the adapter is damaged, or the server refuses.
        """
        ...


class RemoteLoader:
    """Hands adapters to an OpenAI-compatible server, each version under a name of its own: under an old one it may go on with what it has."""

    def __init__(self, settings: ServingSettings) -> None:
        self._settings = settings

    def load(self, version: ModelVersion, adapter: Path, name: str) -> Engine:
        """Let the server load the adapter."""
        engine = RemoteEngine(
            self._settings.engine_url or "",
            self._settings.engine_key.get_secret_value(),
            version=name,
            name=name.replace("/", "-"),
            base=version.base,
            timeout=self._settings.engine_seconds,
            concurrent=4 * self._settings.max_batch,
            context=self._settings.engine_context,
            voice_tokens=self._settings.voice_tokens,
        )
        engine.load(adapter)
        return engine


def make_loader(settings: ServingSettings) -> Loader:
    """Return what the settings ask for: a server, if one is named, or this process."""
    if settings.engine_url:
        return RemoteLoader(settings)
    # A gateway to a server elsewhere needs no torch, whose import takes seconds and hundreds of megabytes.
    from serving.engines.local.loader import LocalLoader

    return LocalLoader(settings, Settings().models_dir)
