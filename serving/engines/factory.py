"""Engine factory: makes an engine from a model version, in this process or on a remote server."""

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from secrets import token_hex
from typing import Any, Protocol

from serving.engines.base import Engine, untrained_name
from serving.engines.chat_server import ChatServer
from serving.engines.openai import RemoteEngine
from serving.engines.server_models import ServerModel
from serving.engines.server_probes import check_vision, keeps_to_schema, mixes_up_adapters
from serving.prompting.instruct import RESPONSE_FORMAT, InstructTemplate
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

    def load_untrained(self, model: str) -> Engine:
        """Return an engine of the base *model* without an adapter. Its version is `untrained_name`.

        Raises:
            UserError: the model can't be found or loaded, or its server does not answer.
        """
        ...


class RemoteLoader:
    """Makes engines of an OpenAI-compatible server: with its own models, or with adapters that it loads (vLLM).

    Each version that a process loads gets a name of its own there: a known name is refused, be it that of a process
    that was killed, and another replica may unload its own.
    """

    def __init__(self, settings: ServingSettings) -> None:
        self._settings = settings

    def load(self, version: ModelVersion, adapter: Path, name: str) -> Engine:
        """Load the adapter on the server, and return an engine that uses it."""
        server = self._connect()
        with ExitStack() as on_error:
            on_error.callback(server.close)
            base = server.find(version.base)
            engine = self._make_engine(server, base, name, prompts := TrainedTemplate())
            on_error.callback(engine.close)
            adapter_name = f"{name.replace('/', '-')}-{token_hex(4)}"
            engine.load_adapter(adapter_name, adapter)
            if mixes_up_adapters(server, base.id, adapter_name, prompts):
                logger.warning(
                    "the model server mixes up the base and its adapters in one batch, so captions and alt texts take turns; "
                    "start it with a higher --max-loras than adapters are used to have both at once"
                )
                engine.take_turns()
            on_error.pop_all()
        return engine

    def load_untrained(self, model: str) -> Engine:
        """Return an engine that uses the server's model called *model*, without an adapter.

        Raises:
            EngineUnavailableError: the server does not answer, or does not have the model, or it can't see photos.
        """
        server = self._connect()
        with ExitStack() as on_error:
            on_error.callback(server.close)
            found = server.find(model)
            check_vision(server, found.id)
            seconds = self._settings.engine_load_seconds
            logger.info("waiting up to %.0f s for %s to load %s", seconds, server.address, found.id)
            structured = keeps_to_schema(server, found.id, RESPONSE_FORMAT)
            logger.info("%s is asked for %s", found.id, "JSON by a schema" if structured else "plain text")
            on_error.pop_all()
        prompts = InstructTemplate(structured=structured)
        return self._make_engine(server, found, untrained_name(model), prompts, RESPONSE_FORMAT if structured else None)

    def _connect(self) -> ChatServer:
        return ChatServer(
            self._settings.engine_url or "",
            self._settings.engine_key.get_secret_value(),
            timeout=self._settings.engine_seconds,
            load_timeout=self._settings.engine_load_seconds,
        )

    def _make_engine(
        self,
        server: ChatServer,
        model: ServerModel,
        version: str,
        prompts: PromptTemplate,
        response_format: Mapping[str, Any] | None = None,
    ) -> RemoteEngine:
        return RemoteEngine(
            server,
            model.id,
            version=version,
            prompts=prompts,
            concurrent=4 * self._settings.max_batch,
            context=model.context or self._settings.engine_context,
            voice_tokens=self._settings.voice_tokens,
            response_format=response_format,
        )


def make_loader(settings: ServingSettings, *, one_shot: bool = False) -> Loader:
    """Return the loader that *settings* ask for: remote if they name a server, otherwise local.

    An engine for a single post (*one_shot*) does not compile what only many posts would gain from.
    """
    if settings.engine_url:
        return RemoteLoader(settings)
    # A gateway to a remote server needs no torch, whose import takes seconds and hundreds of megabytes.
    from serving.engines.local.loader import LocalLoader

    return LocalLoader(settings, Settings().models_dir, compiled=not one_shot)
