"""FLOPs per training sample, by formula: the numerator of model FLOP utilization.

Only operations that the result depends on are counted, whatever the trainer does. A multiplication with its
addition counts as two operations. Frozen weights cost two operations per parameter and token forward, and two more
backward where a gradient flows through them to an adapter. Their own gradients, two more, are not needed.

==========  ================================================  ======================================================
part        operations                                        why
==========  ================================================  ======================================================
vision      frames * 2 * parameters * patches                 forward only: nothing before it is trained
projector   2 * parameters * image tokens                     the same
text        4 * parameters * tokens                           forward, and backward to what comes before
attention   frames * 4 * patches^2 * width * vision layers,   the tower's forward pass; the text model's forward (4)
            6 * tokens^2 * width * text layers                and backward (8), of which causality saves half
adapter     6 * parameters * tokens                           forward, backward, its own gradients
head        4 * parameters * answer tokens                    the loss needs no other logits
==========  ================================================  ======================================================

Recomputing (gradient checkpointing) and padding are work done but not needed, and don't count.
"""

from dataclasses import astuple, dataclass
from typing import Any

import torch
from torch import nn

from snap2caption.vlm import VisionLanguageModel
from training.data.collator import IGNORED, Batch


@dataclass(frozen=True, slots=True)
class MeanSample:
    """The average size of a sample: tokens of sequence, answer and image, frames per photo, and patches per frame."""

    tokens: float
    answer_tokens: float
    image_tokens: float
    frames: int
    patches: int


@dataclass(frozen=True, slots=True)
class Flops:
    """Operations by part, of one sample."""

    vision: float
    projector: float
    text: float
    attention: float
    adapter: float
    head: float

    @property
    def total(self) -> float:
        """All of them."""
        return float(sum(astuple(self)))


def count(model: nn.Module, sample: MeanSample) -> Flops:
    """Return what training *model*, which carries an adapter on its language model alone, costs per *sample*."""
    weights = dict.fromkeys(("vision", "projector", "text", "adapter", "head"), 0)
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            weights[_part(name)] += module.weight.numel()
    config: Any = model.config
    vision, text = config.vision_config, config.text_config
    across_patches = 4 * sample.patches**2 * vision.hidden_size * vision.num_hidden_layers
    across_tokens = 6 * sample.tokens**2 * text.hidden_size * text.num_hidden_layers
    return Flops(
        vision=sample.frames * 2 * weights["vision"] * sample.patches,
        projector=2 * weights["projector"] * sample.image_tokens,
        text=4 * weights["text"] * sample.tokens,
        attention=sample.frames * across_patches + across_tokens,
        adapter=6 * weights["adapter"] * sample.tokens,
        head=4 * weights["head"] * sample.answer_tokens,
    )


def describe(vlm: VisionLanguageModel, batch: Batch) -> MeanSample:
    """Return the size of a sample of *batch*, which a `SampleCollator` made."""
    # (photos, 3, height, width), or with the frames of each photo in between.
    *pictures, _, height, width = batch["pixel_values"].shape
    count = len(batch["input_ids"])
    vision = vlm.model.config.vision_config
    return MeanSample(
        tokens=float(batch["attention_mask"].sum()) / count,
        answer_tokens=float((batch["labels"] != IGNORED).sum()) / count,
        image_tokens=float((batch["input_ids"] == vlm.model.config.image_token_id).sum()) / count,
        frames=torch.Size(pictures).numel() // count,
        # CLIP adds one for the whole.
        patches=(height // vision.patch_size) * (width // vision.patch_size) + ("clip" in vision.model_type),
    )


def _part(name: str) -> str:
    if "lora_" in name:
        return "adapter"
    if "lm_head" in name:
        return "head"
    if "vision" in name:
        return "vision"
    return "text" if "language_model" in name or "text_model" in name else "projector"
