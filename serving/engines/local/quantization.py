"""Weights in 8 bits: a quarter of the memory of 32. They are widened layer by layer as they are used.

What else there is in PyTorch 2.13 was tried. ``torch.ao.quantization.quantize_dynamic`` is there but deprecated, packs its weights so that
versions can't share them, and its layers take no adapter. The kernel ``_weight_int8pack_mm`` takes 25 times as long as a product in float32 on
the CPU, and is off by 13 % in bfloat16 at 2,048 inputs. torchao would be another package.
"""

import torch
from torch import nn

from snap2caption.vlm import SEEING


class Int8Linear(nn.Linear):
    """A linear layer for inference whose weight is int8 of shape (out, in), with a scale for each output."""

    scale: torch.Tensor

    def __init__(self, layer: nn.Linear) -> None:
        """Quantize the weight of *layer*, symmetrically, row by row."""
        nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        weight = layer.weight.detach()
        scale = weight.abs().amax(1).clamp(min=torch.finfo(weight.dtype).tiny) / 127
        self.weight = nn.Parameter((weight / scale[:, None]).round().to(torch.int8), requires_grad=False)
        self.register_buffer("scale", scale)
        self.bias = None if layer.bias is None else nn.Parameter(layer.bias.detach(), requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the layer makes of *x*, of shape (…, in): (…, out)."""
        out = nn.functional.linear(x, self.weight.to(x.dtype)) * self.scale.to(x.dtype)
        return out if self.bias is None else out + self.bias


def quantize(model: nn.Module) -> None:
    """Quantize, in place, the linear layers of a model's language part; what sees stays whole, and so does the output layer."""
    for name, module in list(model.named_modules()):
        parts = name.split(".")
        whole = parts[-1] == "lm_head" or any(part in SEEING for part in parts)
        if type(module) is nn.Linear and not whole:
            parent = model.get_submodule(".".join(parts[:-1]))
            setattr(parent, parts[-1], Int8Linear(module))
