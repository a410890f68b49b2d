"""Model card of a base: what its maker says about its training."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from snap2caption.names import is_base_name
from snap2caption.text.language import find_language, primary

_CARD = "README.md"
_FENCE = "---\n"


@dataclass(frozen=True, slots=True)
class ModelCard:
    """The content of a card. A base without a card counts as an instruction-tuned model of unknown languages."""

    languages: frozenset[str] = frozenset()
    """Tags of the languages that it was trained in; empty: the card does not say."""
    instruction_tuned: bool = True
    """Whether it follows wishes in words that its training did not name."""
    limitations: str = ""
    """What creators have to know before they use its captions, in plain sentences; empty: the card says nothing."""

    def follows(self, wish: str, learned: str) -> bool:
        """Whether a model on this base follows *wish*.

        *learned* lists, with commas, the wishes that its adapter's prompts named.
        """
        return self.instruction_tuned or wish in learned.split(",")


NO_CARD = ModelCard()


def read_card(base: str, models_dir: Path) -> ModelCard:
    """Return the card of a base on disk: the metadata of its README.md, as on Hugging Face's hub, and our own keys
    ``instruction_tuned`` and ``limitations``.

    A base whose card is missing or unreadable gets `NO_CARD`: a card is advice, and no reason to refuse service.
    """
    if not is_base_name(base):
        return NO_CARD
    try:
        text = (models_dir / base / _CARD).read_text(encoding="utf-8")
        metadata = yaml.safe_load(text.split(_FENCE)[1]) if text.startswith(_FENCE) else None
    except (OSError, ValueError, IndexError, yaml.YAMLError):
        return NO_CARD
    if not isinstance(metadata, dict):
        return NO_CARD
    limitations = metadata.get("limitations")
    return ModelCard(
        languages=frozenset(_languages(metadata.get("language"))),
        instruction_tuned=metadata.get("instruction_tuned") is not False,
        limitations=" ".join(limitations.split()) if isinstance(limitations, str) else "",
    )


def _languages(found: Any) -> list[str]:
    listed = found if isinstance(found, list) else [found]
    # YAML reads the tag of Norwegian as false.
    tags = (find_language("no" if one is False else str(one)) for one in listed if one is not None)
    return [primary(tag) for tag in tags if tag is not None]
