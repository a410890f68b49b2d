"""Engine factory: makes an engine from a model version, in this process or on a remote server."""

import logging
from pathlib import Path
from typing import Protocol

from serving.engines.base import Engine
from serving.engines.chat_server import ChatServer
from serving.engines.openai import RemoteEngine
from serving.engines.server_models import ServerModel
from serving.prompting.instruct import InstructTemplate
from serving.prompting.template import PromptTemplate
from serving.prompting.trained import TrainedTemplate
from serving.settings import ServingSettings
from snap2caption.registry.versions import ModelVersion
from snap2caption.settings import Settings

logger = logging.getLogger(__name__)


class Loader(Protocol):
    """Makes engines from model versions."""

    def load(self, version: ModelVersion, adapter: Path, name: str) -> Engine:
        """Return an engine called *name*: the version's base model with the adapter in the folder *adapter*.

        Raises:
            UserError: the base is missing, the adapter is damaged, or the server refuses it.
        """
        ...


class RemoteLoader:
    """Makes engines of an OpenAI-compatible server: with its own models, or with adapters that it loads (vLLM).

    Each version gets its own name there. Under a name that is already known, the server may keep the old adapter.
    """

    def __init__(self, settings: ServingSettings) -> None:
        self._settings = settings

    def load(self, version: ModelVersion, adapter: Path, name: str) -> Engine:
        """Load the adapter on the server, and return an engine that uses it."""
        server = self._connect()
        try:
            base = server.find(version.base)
            engine = self._make_engine(server, base, name, TrainedTemplate())
            engine.load_adapter(name.replace("/", "-"), adapter)
        except Exception:
            server.close()
            raise
        return engine

    def load_untrained(self, model: str) -> Engine:
        """Return an engine that uses the server's model called *model*, without an adapter.

        Raises:
            EngineUnavailableError: the server does not answer, or does not have the model.
        """
        server = self._connect()
        try:
            found = server.find(model)
        except Exception:
            server.close()
            raise
        seconds = self._settings.engine_load_seconds
        logger.info("waiting up to %.0f s for %s to load %s", seconds, server.address, found.id)
        return self._make_engine(server, found, f"{model} (untrained)", InstructTemplate())

    def _connect(self) -> ChatServer:
        return ChatServer(
            self._settings.engine_url or "",
            self._settings.engine_key.get_secret_value(),
            timeout=self._settings.engine_seconds,
            load_timeout=self._settings.engine_load_seconds,
        )

    def _make_engine(
        self, server: ChatServer, model: ServerModel, version: str, prompts: PromptTemplate
    ) -> RemoteEngine:
        return RemoteEngine(
            server,
            model.id,
            version=version,
            prompts=prompts,
            concurrent=4 * self._settings.max_batch,
            context=model.context or self._settings.engine_context,
            voice_tokens=self._settings.voice_tokens,
        )


def make_loader(settings: ServingSettings) -> Loader:
    """Return the loader that *settings* ask for: remote if they name a server, otherwise local."""
    if settings.engine_url:
        return RemoteLoader(settings)
    # A gateway to a remote server needs no torch, whose import takes seconds and hundreds of megabytes.
    from serving.engines.local.loader import LocalLoader

    return LocalLoader(settings, Settings().models_dir)
