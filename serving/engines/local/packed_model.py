"""Packed models: a base model whose weights are stored for inference, shared by all adapters."""

from typing import Any

import torch
from torch import nn

from serving.engines.local.text_model import TextWeights
from serving.settings import Precision
from snap2caption.errors import UserError
from snap2caption.vlm.kernels import WeightFormat, best_format, has_bfloat16, has_fbgemm
from snap2caption.vlm.packed_linear import pack_vision, without_memory


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
        module.weight = nn.Parameter(without_memory(module.weight), requires_grad=False)
    pack_vision(model)
    return weights
