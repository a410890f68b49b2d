"""Linear layers with packed weights, and vision towers made of them."""

from typing import Any

import torch
from torch import nn

from snap2caption.vlm import vision_attention
from snap2caption.vlm.kernels import Kernel, WeightFormat, best_format, pack
from snap2caption.vlm.model import is_vision


class PackedLinear(nn.Linear):
    """A linear layer for inference with a packed weight. It accepts LoRA layers, and copies share the weight.

    It has no parameters, so nothing that goes over a model's parameters (an optimizer, a broadcast) sees it.
    """

    def __init__(self, layer: nn.Linear, form: WeightFormat) -> None:
        """Pack the weight of *layer*."""
        nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.weight: Any = without_memory(layer.weight)
        self.bias: Any = None
        # A copy of the layer has the same one: Python copies functions by reference.
        self._kernel: Kernel = pack(layer.weight, layer.bias, form)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the layer's output, of shape (…, out), for *x* of shape (…, in)."""
        # oneDNN's packed products have no derivative. Gradient checkpointing asks for one of frozen layers, too.
        with torch.no_grad():
            return self._kernel(x.to(self.weight.dtype).contiguous())


def pack_vision(model: Any) -> None:
    """Pack what comes before the language model of *model*, in place, if this processor has kernels for its type."""
    form = best_format(model.dtype)
    if form == "plain":
        return
    for name, module in list(model.named_modules()):
        if type(module) is nn.Linear and is_vision(name):
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, PackedLinear(module, form))
    if form == "bfloat16":
        vision_attention.use(model)


def without_memory(weight: torch.Tensor) -> torch.Tensor:
    """Return a tensor with the shape, type and device of *weight* that takes no memory."""
    return weight.detach().new_zeros(()).expand(weight.shape)
