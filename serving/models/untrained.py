"""Untrained model by name: a base as its maker published it, without an adapter, a registry or a dataset."""

import logging
import time
from pathlib import Path

from serving.engines.factory import Loader
from serving.models.probe import BrokenModelError, probed
from serving.models.served_model import ServedModel
from snap2caption.hashtags.table import HashtagTable
from snap2caption.registry.model_card import read_card

logger = logging.getLogger(__name__)

_FIRST_RETRY_SECONDS = 5.0
_MAX_RETRY_SECONDS = 300.0


class UntrainedModel:
    """A model by its base's name, and the exponential backoff after it could not be loaded."""

    def __init__(self, base: str, loader: Loader, models_dir: Path, *, probes: bool = True) -> None:
        """Name the model.

        Args:
            base: the folder of a base in *models_dir*, its name on the model hub, or its name on the remote server.
            loader: makes the engine.
            models_dir: folder of base models on disk.
            probes: whether it must caption a test picture first.
        """
        self.base = base
        self._probes = probes
        self._loader = loader
        self._models_dir = models_dir
        self._wait = 0.0
        self._retry_at = 0.0

    @property
    def due(self) -> bool:
        """Whether it may be tried now."""
        return time.monotonic() >= self._retry_at

    def load(self) -> ServedModel:
        """Load the model, and let it caption a test picture if it is probed.

        Raises:
            UserError: it can't be found or loaded, its server does not answer, or it generates no caption.
        """
        self._wait = min(_MAX_RETRY_SECONDS, max(_FIRST_RETRY_SECONDS, 2 * self._wait))
        self._retry_at = time.monotonic() + self._wait
        try:
            engine = self._loader.load_untrained(self.base)
            if self._probes:
                probed(engine)
        except BrokenModelError as error:
            raise BrokenModelError(f"{self.base} can't be served: {error}; name another model.") from error
        return ServedModel(engine, HashtagTable.from_rows([]), None, read_card(self.base, self._models_dir))
