"""Served model: an engine with the hashtag table and the model card that its answers need."""

from dataclasses import dataclass

from serving.engines.base import Engine
from snap2caption.hashtags.table import HashtagTable
from snap2caption.registry.model_card import NO_CARD, ModelCard
from snap2caption.registry.versions import ModelVersion


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model in service."""

    engine: Engine
    hashtags: HashtagTable
    """The hashtag table of the dataset that it was trained on."""
    version: ModelVersion | None
    """Its version in the registry. None for an untrained model, which is served under its base's name."""
    card: ModelCard = NO_CARD
    """The model card of its base."""

    def follows(self, wish: str) -> bool:
        """Whether it follows *wish*, a field of a request: the base is instruction-tuned, or the training named it."""
        return self.card.follows(wish, self.version.prompts if self.version else "")
