"""Loading models into this process, as local engines."""

from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image

from serving.engines.base import MAX_VARIANTS, Engine, GenerationRequest
from serving.engines.local.engine import LocalEngine
from serving.engines.local.quantization import quantize
from serving.engines.token_budget import PromptTooLongError
from serving.prompting.trained import TrainedTemplate
from serving.settings import ServingSettings
from snap2caption.errors import UserError
from snap2caption.post import Request
from snap2caption.registry.model_card import read_card
from snap2caption.registry.versions import ModelVersion
from snap2caption.vlm import Decoding, VisionLanguageModel, load, with_adapter


class LocalLoader:
    """Loads models into this process. Versions with the same base share its weights."""

    def __init__(self, settings: ServingSettings, models_dir: Path) -> None:
        self._models_dir = models_dir
        self._dtype = _dtype(settings.precision)
        self._quantized = settings.precision == "int8"
        self._max_batch = settings.max_batch
        self._limits = settings.token_limits
        self._max_new_tokens = settings.max_new_tokens
        # Read in the main thread: in other threads, torch returns the number that any thread has set last.
        self._threads = settings.threads or torch.get_num_threads()
        self._base: VisionLanguageModel | None = None

    def load(self, version: ModelVersion, adapter: Path, name: str) -> Engine:
        """Return an engine with the adapter. The base is loaded only if the last version had a different one."""
        torch.set_num_threads(self._threads)  # of this thread, which also probes the model
        base = self._base
        if base is None or (base.base, base.revision) != (version.base, version.base_revision):
            base = load(version.base, self._models_dir, revision=version.base_revision, dtype=self._dtype)
            if self._quantized:
                quantize(base.model)
        vlm = with_adapter(base, adapter, self._models_dir)
        learned = read_card(version.base, self._models_dir).follows("voice", version.prompts)
        # A small model that was not trained with voices is confused by one: it only gets the voice's tone.
        limits = self._limits if learned else replace(self._limits, voice=0)
        engine = LocalEngine(
            vlm, name, TrainedTemplate(), max_batch=self._max_batch, threads=self._threads, limits=limits
        )
        self._check_context(engine)
        self._base = base
        return engine

    def _check_context(self, engine: LocalEngine) -> None:
        """Check that a photo without options, with the most variants, fits into the model's context."""
        smallest = GenerationRequest(
            Image.new("RGB", (300, 300)), Request(), (Decoding(self._max_new_tokens),) * MAX_VARIANTS
        )
        try:
            engine.fit(smallest)
        except PromptTooLongError as error:
            raise UserError(
                f"A photo and a caption of {self._max_new_tokens} tokens do not fit into the context of "
                f"{engine.version}; lower SNAP2CAPTION_SERVING_MAX_NEW_TOKENS, "
                "or raise SNAP2CAPTION_SERVING_CACHE_TOKENS."
            ) from error


def _dtype(precision: str) -> str:
    if precision in {"fp32", "bf16"}:
        return {"fp32": "float32", "bf16": "bfloat16"}[precision]
    return "bfloat16" if torch.cuda.is_available() else "float32"
