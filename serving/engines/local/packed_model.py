"""Packed models: a base model whose weights are stored for inference, shared by all adapters."""

from typing import Any

import torch
from torch import nn

from serving.engines.local.text_model import TextWeights
from serving.settings import Precision
from snap2caption.errors import UserError
from snap2caption.vlm import SEEING, vision_attention
from snap2caption.vlm.kernels import Kernel, WeightFormat, best_format, has_bfloat16, has_fbgemm, pack


class PackedLinear(nn.Linear):
    """A linear layer for inference with a packed weight. It accepts LoRA layers, and copies share the weight."""

    def __init__(self, layer: nn.Linear, form: WeightFormat) -> None:
        """Pack the weight of *layer*."""
        nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.weight = _placeholder(layer.weight)
        self.bias = None
        # A copy of the layer has the same one: Python copies functions by reference.
        self._kernel: Kernel = pack(layer.weight, layer.bias, form)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the layer's output, of shape (…, out), for *x* of shape (…, in)."""
        return self._kernel(x.contiguous())


def load_dtype(precision: Precision) -> str:
    """Return the type to load a model in: of a bf16 model, float16 weights lose nothing that matters."""
    if precision == "fp32":
        return "float32"
    if precision == "bf16" or torch.cuda.is_available():
        return "bfloat16"
    return "bfloat16" if has_bfloat16() else "float32"


def text_format(precision: Precision, dtype: torch.dtype) -> WeightFormat:
    """Return how to store the text model's weights.

    Raises:
        UserError: int8 is asked for, and there are no kernels for it.
    """
    best = best_format(dtype)
    if precision == "int8":
        if torch.cuda.is_available() or not torch.backends.mkldnn.is_available():
            raise UserError(
                "SNAP2CAPTION_SERVING_PRECISION=int8 needs oneDNN's kernels, which PyTorch has on x86-64 and some ARM "
                "processors, not on a GPU; leave it at auto."
            )
        return "int8"
    return "float16" if precision == "auto" and has_fbgemm() else best


def pack_model(model: Any, precision: Precision) -> TextWeights:
    """Pack a base model in place, and return its text model's weights.

    Vision tower and projector get packed layers. The text model keeps its modules without their weights: they only
    tell an adapter what it fits to.
    """
    weights = TextWeights(model, text_format(precision, model.dtype))
    linear = [module for module in model.get_decoder().layers.modules() if isinstance(module, nn.Linear)]
    head = model.get_output_embeddings()
    if head.weight is not model.get_input_embeddings().weight:
        linear.append(head)
    for module in linear:
        module.weight = _placeholder(module.weight)
    form = best_format(model.dtype)
    if form != "plain":
        for name, module in list(model.named_modules()):
            if type(module) is nn.Linear and any(part in SEEING for part in name.split(".")):
                parent, _, child = name.rpartition(".")
                setattr(model.get_submodule(parent), child, PackedLinear(module, form))
    if form == "bfloat16":
        vision_attention.use(model)
    return weights


def _placeholder(weight: torch.Tensor) -> nn.Parameter:
    """Return a parameter with the shape, type and device of *weight* that takes no memory."""
    return nn.Parameter(weight.new_zeros(()).expand(weight.shape), requires_grad=False)
