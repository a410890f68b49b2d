"""Model loading for a latency comparison: two models in one process, each behind the timed interface."""

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
    """A model to be timed: on its own base, or as one of two adapters on a shared base."""

    vlm: VisionLanguageModel
    adapter: str

    def prepare(self) -> None:
        """Activate this model's adapter on the base."""
        self.vlm.model.set_adapter(self.adapter)

    def write(self, photo: Any, prompt: str, tokens: int, on_token: Callable[[], None]) -> None:
        """Generate exactly *tokens* tokens for a photo, greedily, and call *on_token* after each.

        Raises:
            UserError: the tokens do not fit into the model's context.
        """
        inputs = self.vlm.inputs([photo], [prompt])
        self.vlm.check_room(inputs, tokens)
        with torch.inference_mode():
            self.vlm.model.generate(
                **inputs, do_sample=False, min_new_tokens=tokens, max_new_tokens=tokens, streamer=_TokenClock(on_token)
            )


class _TokenClock(BaseStreamer):
    """Streamer that calls back for each generated token, but not for the prompt, which ``generate`` puts first."""

    def __init__(self, on_token: Callable[[], None]) -> None:
        self._on_token = on_token
        self._read = False

    def put(self, value: Any) -> None:  # noqa: ARG002
        if self._read:
            self._on_token()
        self._read = True

    def end(self) -> None:
        pass


def load_both(
    candidate: EvaluatedModel, incumbent: EvaluatedModel, models_dir: Path, dtype: str
) -> tuple[ModelWriter, ModelWriter]:
    """Load two models to be timed side by side; a shared base is loaded once.

    Each uses its own processor, as when it is served. A base model without an adapter is timed with the candidate's
    adapter. Any model that replaces it has an adapter, which always takes time: that is no reason to keep an
    untrained base.
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
