"""Model loading for a latency comparison: two models side by side, each behind the interface that is timed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers.generation import BaseStreamer

from snap2caption.registry.adapters import check_weights
from snap2caption.vlm import VisionLanguageModel, load_processor
from training.evaluation.candidates import EvaluatedModel


@dataclass(frozen=True, slots=True)
class ModelWriter:
    """A model that writes beside another one: of its own, or with one of two adapters on a base that both share."""

    vlm: VisionLanguageModel
    adapter: str

    def prepare(self) -> None:
        """Make the base use this one's adapter."""
        self.vlm.model.set_adapter(self.adapter)

    def write(self, photo: Any, prompt: str, tokens: int, told: Callable[[], None]) -> None:
        """Write exactly so many tokens about a photo, likeliest first, and call *told* after each.

        Raises:
            UserError: they are more than the model's context.
        """
        inputs = self.vlm.inputs([photo], [prompt])
        self.vlm.check_room(inputs, tokens)
        with torch.inference_mode():
            self.vlm.model.generate(
                **inputs, do_sample=False, min_new_tokens=tokens, max_new_tokens=tokens, streamer=_TokenClock(told)
            )


class _TokenClock(BaseStreamer):
    """Tells of each token that is generated; first of all, ``generate`` puts the prompt."""

    def __init__(self, told: Callable[[], None]) -> None:
        self._told = told
        self._read = False

    def put(self, value: Any) -> None:  # noqa: ARG002
        if self._read:
            self._told()
        self._read = True

    def end(self) -> None:
        pass


def load_both(
    candidate: EvaluatedModel, incumbent: EvaluatedModel, models_dir: Path, dtype: str
) -> tuple[ModelWriter, ModelWriter]:
    """Load two models side by side, to be timed; a base that they share is loaded once. Each prepares photos and prompts as it is served.

    An untouched base is loaded with the candidate's adapter. What replaces it always has one, which takes time in any case: that is no
    reason to keep a base that nobody has trained.
    """
    vlm = candidate.load(models_dir, dtype)
    mine = ModelWriter(vlm, "default")
    if incumbent.adapter is None:
        processor = load_processor(incumbent.base, models_dir, revision=incumbent.revision)
        return mine, ModelWriter(replace(vlm, processor=processor), "default")
    if (candidate.base, candidate.revision) != (incumbent.base, incumbent.revision):
        return mine, ModelWriter(incumbent.load(models_dir, dtype), "default")
    with incumbent.downloaded() as adapter:
        assert adapter is not None  # noqa: S101 - it has one
        check_weights(adapter)
        vlm.model.load_adapter(str(adapter), "incumbent")
        processor = load_processor(incumbent.base, models_dir, revision=incumbent.revision, adapter=adapter)
    vlm.model.eval()
    return mine, ModelWriter(replace(vlm, processor=processor), "incumbent")
