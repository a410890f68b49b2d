"""Loading models into this process, as local engines."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image

from serving.engines.base import MAX_VARIANTS, Engine, GenerationRequest, untrained_name
from serving.engines.local.engine import LocalEngine
from serving.engines.local.lora import changes_vision
from serving.engines.local.packed_model import load_dtype, pack_model
from serving.engines.local.text_model import TextWeights, check_architecture
from serving.engines.token_budget import PromptTooLongError
from serving.prompting.instruct import InstructTemplate
from serving.prompting.template import PromptTemplate
from serving.prompting.trained import TrainedTemplate
from serving.settings import ServingSettings
from snap2caption.errors import UserError
from snap2caption.post import Request
from snap2caption.registry.model_card import read_card
from snap2caption.registry.versions import ModelVersion
from snap2caption.runtime.openmp import with_own_team
from snap2caption.vlm import (
    Decoding,
    VisionLanguageModel,
    load,
    load_config,
    load_processor,
    splits_images,
    with_adapter,
)
from snap2caption.vlm.out_of_distribution import FeatureReference, load_reference

_FAMILIES = frozenset({"llava", "llava_next", "idefics3", "smolvlm"})
"""The architectures, by transformers' names, whose texts are tested to be the same as transformers' own."""


@dataclass(frozen=True, slots=True)
class _PackedBase:
    """A base model, and the weights of its text model, which are not in its modules any more."""

    vlm: VisionLanguageModel
    weights: TextWeights


class LocalLoader:
    """Loads models into this process. Versions with the same base share its weights."""

    def __init__(self, settings: ServingSettings, models_dir: Path, *, compiled: bool = True) -> None:
        """*compiled*: whether its engines compile decoding steps, which pays after some photos."""
        self._compiled = compiled
        self._models_dir = models_dir
        self._precision = settings.precision
        self._max_batch = settings.max_batch
        self._limits = settings.token_limits
        self._max_new_tokens = settings.max_new_tokens
        # Read in the main thread: in other threads, torch returns the number that any thread has set last.
        self._threads = settings.threads or torch.get_num_threads()
        self._base: _PackedBase | None = None

    def load(self, version: ModelVersion, adapter: Path, name: str) -> Engine:
        """Return an engine with the adapter. The base is loaded only if the last version had a different one."""
        return with_own_team(lambda: self._load(version, adapter, name))

    def _load(self, version: ModelVersion, adapter: Path, name: str) -> Engine:
        base = self._load_base(version.base, version.base_revision)
        learned = read_card(version.base, self._models_dir).follows("voice", version.prompts)
        vlm = with_adapter(base.vlm, adapter, self._models_dir)
        reference = load_reference(adapter)
        if reference is None and not changes_vision(vlm.model):
            reference = load_reference(self._models_dir / version.base)
        engine = self._make_engine(vlm, base.weights, name, TrainedTemplate(), voice=learned, reference=reference)
        self._base = base
        return engine

    def load_untrained(self, model: str) -> Engine:
        """Return an engine of the base *model* without an adapter.

        Raises:
            UserError: it is neither on disk nor on the hub, or of an architecture that only runs on a server of its own.
        """
        return with_own_team(lambda: self._load_untrained(model))

    def _load_untrained(self, model: str) -> Engine:
        check_family(model, self._models_dir)
        base = self._load_base(model, None)
        vlm = base.vlm
        if splits_images(vlm.processor) and vlm.model.device.type == "cpu":
            # SmolVLM sees a photo as 17 tiles. Reading them takes 17 times as long.
            processor = load_processor(model, self._models_dir, revision=vlm.revision, split_images=False)
            vlm = replace(vlm, processor=processor)
        instructed = read_card(model, self._models_dir).instruction_tuned
        prompts = InstructTemplate() if instructed else TrainedTemplate()
        reference = load_reference(self._models_dir / model)
        engine = self._make_engine(
            vlm, base.weights, untrained_name(model), prompts, voice=instructed, reference=reference
        )
        self._base = base
        return engine

    def _load_base(self, base: str, revision: str | None) -> "_PackedBase":
        """Return the base: the last version's, if it is the same."""
        torch.set_num_threads(self._threads)
        kept = self._base
        if kept is None or kept.vlm.base != base or revision not in {None, kept.vlm.revision}:
            vlm = load(base, self._models_dir, revision=revision, dtype=load_dtype(self._precision))
            kept = _PackedBase(vlm, pack_model(vlm.model, self._precision))
        return kept

    def _make_engine(
        self,
        vlm: VisionLanguageModel,
        weights: TextWeights,
        name: str,
        prompts: PromptTemplate,
        *,
        voice: bool,
        reference: FeatureReference | None,
    ) -> Engine:
        # A small model that was not trained with voices is confused by one: it only gets the voice's tone.
        limits = self._limits if voice else replace(self._limits, voice=0)
        engine = LocalEngine(
            vlm,
            name,
            prompts,
            max_batch=self._max_batch,
            threads=self._threads,
            limits=limits,
            reference=reference,
            weights=weights,
            compiled=self._compiled,
        )
        self._check_context(engine)
        return engine

    def _check_context(self, engine: LocalEngine) -> None:
        """Check that a photo without options, with the most variants, fits into the model's context."""
        smallest = GenerationRequest(
            Image.new("RGB", (300, 300)),
            Request(),
            (Decoding(self._max_new_tokens * engine.token_factor),) * MAX_VARIANTS,
        )
        try:
            engine.fit(smallest)
        except PromptTooLongError as error:
            raise UserError(
                f"A photo and a caption of {self._max_new_tokens} tokens do not fit into the context of "
                f"{engine.version}; lower SNAP2CAPTION_SERVING_MAX_NEW_TOKENS, "
                "or raise SNAP2CAPTION_SERVING_CACHE_TOKENS."
            ) from error


def check_family(model: str, models_dir: Path) -> None:
    """Check that the base *model* exists and can run in this process.

    Raises:
        UserError: it is neither on disk nor on the hub, or of another architecture.
    """
    config = load_config(model, models_dir)
    architecture = config.model_type
    if architecture not in _FAMILIES:
        raise UserError(
            f"{model} is a model of the kind {architecture}, which does not run in the service's own process; "
            "run it on a server such as vLLM or Ollama, and give its address with --engine."
        )
    check_architecture(config)
