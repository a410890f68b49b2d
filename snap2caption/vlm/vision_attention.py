"""Attention of the vision tower in bfloat16 on a CPU, as two batched matrix products.

PyTorch's fused attention for CPUs computes its products at a fifth of the rate that oneDNN reaches in bfloat16. A
photo's scores are small enough to be kept (12 heads of 1,024 patches: 25 MB), which is what fusing avoids.
"""

from typing import Any

import torch
from torch import nn

NAME = "snap2caption_bmm"


def use(model: Any) -> None:
    """Let the vision tower of *model* use this attention."""
    # transformers' models are imported by whoever loads one, which may defer a part (`deferred_imports`).
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(NAME, _attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation({"vision_config": NAME})


def _attend(
    _: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **__: object,
) -> tuple[torch.Tensor, None]:
    """Return the attended values, of shape (pictures, patches, heads, width), as transformers' interface has it.

    Args:
        query: shape (pictures, heads, patches, width), as *key* and *value*.
        attention_mask: shape (pictures, 1, patches, patches), True for what may be seen; None: everything.
        scaling: the scores' factor (default: the width to the power of -1/2).
    """
    pictures, _heads, patches, width = query.shape
    factor = width**-0.5 if scaling is None else scaling
    attended = torch.empty_like(query)
    # Picture by picture: the scores of all would not fit into the cache.
    for number in range(pictures):
        bias = query.new_zeros(())
        if attention_mask is not None:
            bias = query.new_zeros((patches, patches)).masked_fill_(~attention_mask[number, 0], -torch.inf)
        scores = torch.baddbmm(bias, query[number], key[number].transpose(1, 2), alpha=factor)
        torch.bmm(scores.softmax(-1), value[number], out=attended[number])
    return attended.transpose(1, 2), None
