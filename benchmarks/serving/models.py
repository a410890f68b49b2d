"""Models for the serving benchmark. All servers get the same model with the same adapter."""

import torch
from peft import LoraConfig, get_peft_model

from benchmarks.training.shapes import build
from serving.engines.local.packed_model import load_dtype, pack_model
from serving.engines.local.text_model import TextWeights
from snap2caption.settings import Settings
from snap2caption.vlm import VisionLanguageModel, load, quieten_peft

MODELS = {"demo": 48, "smolvlm-256m-unsplit": 32, "llava-tiny": 16}
"""What can be served, and how many tokens an answer has at most. Random models never stop earlier."""


def load_model(name: str) -> VisionLanguageModel:
    """Return the demo base or a random model of that shape, with an adapter that costs as much as a trained one.

    The adapter does not change the output.
    """
    return adapted(_load_base(name, "float32"))


def load_packed(name: str) -> tuple[VisionLanguageModel, TextWeights]:
    """Return the same model as the service holds it by default, and its text model's weights."""
    base = _load_base(name, load_dtype("auto"))
    weights = pack_model(base.model, "auto")
    return adapted(base), weights


def _load_base(name: str, dtype: str) -> VisionLanguageModel:
    return load("demo-base", Settings().models_dir, dtype=dtype) if name == "demo" else readable(build(name, dtype))


def adapted(vlm: VisionLanguageModel) -> VisionLanguageModel:
    """Return *vlm* with an adapter that costs what a trained one does, and adds nothing."""
    quieten_peft()
    config = LoraConfig(r=8, target_modules=r".*(language_model|text_model).*\.(q_proj|v_proj)")
    vlm.model = get_peft_model(vlm.model, config).eval()
    return vlm


def readable(vlm: VisionLanguageModel) -> VisionLanguageModel:
    """Restrict a random model to words. Other tokens have no text to show, and a service would retry."""
    tokenizer = vlm.processor.tokenizer
    words = set(range(len(tokenizer))) - set(tokenizer.all_special_ids) - set(tokenizer.added_tokens_decoder)
    weights = vlm.model.get_output_embeddings().weight
    silent = torch.ones(len(weights), dtype=torch.bool)
    silent[sorted(words)] = False
    with torch.no_grad():
        weights[silent] = 0
    return vlm
