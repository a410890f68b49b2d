"""Vision-language models of the LLaVA kind: loading and generation, the same way in training, evaluation and serving.

Everything goes through ``AutoModelForImageTextToText``, ``AutoProcessor`` and the family's own chat template, so
the built-in demo base, LLaVA 1.5, LLaVA 1.6 and SmolVLM take the same path.

Models that are logged in MLflow import from here (`training.tracking.pyfunc`), so these names have to stay.
"""

from snap2caption.vlm.bases import find_revision, load_config, local_revision, resolve_base
from snap2caption.vlm.loading import check_4bit, load, load_processor, quieten_peft, splits_images, with_adapter
from snap2caption.vlm.model import (
    SEEING,
    TEXT_INPUTS,
    Decoding,
    Generated,
    VisionFeatures,
    VisionLanguageModel,
    image_features,
    is_vision,
    vision_features,
)

__all__ = [
    "SEEING",
    "TEXT_INPUTS",
    "Decoding",
    "Generated",
    "VisionFeatures",
    "VisionLanguageModel",
    "check_4bit",
    "find_revision",
    "image_features",
    "is_vision",
    "load",
    "load_config",
    "load_processor",
    "local_revision",
    "quieten_peft",
    "resolve_base",
    "splits_images",
    "vision_features",
    "with_adapter",
]
