"""Linear kernels: matrix products with weights that are packed once for inference.

On a CPU, a decoding step takes as long as reading the weights, and the products of a photo take as long as the
kernel's arithmetic. What a plain ``nn.functional.linear`` reaches differs between processors: on two cores of an AMD
EPYC with 2 rows, it reads float32 weights at 5 GB/s of the 30 that memory gives, and computes at 130 GFLOP/s of 900.
Packed weights come close to both limits (docs/decisions/engine.md).
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import nn

WeightFormat = Literal["plain", "float32", "bfloat16", "float16", "int8"]
"""How weights are stored, and what computes with them.

- ``plain``: as they are, by ``nn.functional.linear``: on a GPU, on processors without the other kernels, in float64.
- ``float32``, ``bfloat16``: packed by oneDNN. Inputs and outputs are of the same type.
- ``float16``: packed by FBGEMM, which widens them in registers and computes in float32.
- ``int8``: packed by oneDNN with a scale per output. Inputs are quantized with a scale per row as they come (W8A8 with
  dynamic scales per token, as in ZeroQuant, Yao et al. 2022), so that a row does not depend on the others.
"""

Kernel = Callable[[torch.Tensor], torch.Tensor]
"""Computes the output, of shape (rows, out), of an input of shape (rows, in)."""

_FLOAT16_MAX = torch.finfo(torch.float16).max
_TINY = torch.finfo(torch.float32).tiny


def best_format(dtype: torch.dtype) -> WeightFormat:
    """Return the format whose outputs are those of *dtype*: packed on a CPU that can, else ``plain``."""
    if torch.cuda.is_available() or not torch.backends.mkldnn.is_available():
        return "plain"
    if dtype == torch.float32:
        return "float32"
    return "bfloat16" if dtype == torch.bfloat16 and has_bfloat16() else "plain"


def has_bfloat16() -> bool:
    """Return whether the CPU computes in bfloat16, by AVX-512 or AMX."""
    capability = torch.cpu.get_capabilities()
    return bool(capability.get("avx512_bf16") or capability.get("amx_bf16"))


def has_fbgemm() -> bool:
    """Return whether FBGEMM's kernels are available: on x86-64 with AVX2."""
    return "fbgemm" in torch.backends.quantized.supported_engines and not torch.cuda.is_available()


def pack(weight: torch.Tensor, bias: torch.Tensor | None, form: WeightFormat) -> Kernel:
    """Return a kernel for *weight*, of shape (out, in), and *bias*, of shape (out,).

    Args:
        weight: of any floating type.
        bias: added to each row, if given.
        form: how to store the weight.
    """
    weight = weight.detach()
    bias = None if bias is None else bias.detach()
    if form == "float16" and weight.abs().max() > _FLOAT16_MAX:
        # It would be cut off.
        form = "float32"
    if form == "float16":
        return _fbgemm_float16(weight.float(), None if bias is None else bias.float())
    if form == "int8":
        return _onednn_int8(weight.float(), bias)
    if form == "plain":
        return lambda x: nn.functional.linear(x, weight, bias)
    dtype = getattr(torch, form)
    return _onednn(weight.to(dtype), None if bias is None else bias.to(dtype))


def _fbgemm_float16(weight: torch.Tensor, bias: torch.Tensor | None) -> Kernel:
    packed = torch.ops.quantized.linear_prepack_fp16(weight, bias)
    product: Any = torch.ops.quantized.linear_dynamic_fp16
    return lambda x: product(x, packed)


def _onednn(weight: torch.Tensor, bias: torch.Tensor | None) -> Kernel:
    packed = torch.ops.mkldnn._reorder_linear_weight(weight)
    product: Any = torch.ops.mkldnn._linear_pointwise
    return lambda x: product(x, packed, bias, "none", [], "")


def _onednn_int8(weight: torch.Tensor, bias: torch.Tensor | None) -> Kernel:
    scales = weight.abs().amax(1).clamp(min=_TINY) / 127
    values = (weight / scales[:, None]).round().to(torch.int8)
    packed = torch.ops.onednn.qlinear_prepack(values, None)
    zeros = torch.zeros(len(weight), dtype=torch.int32)
    product: Any = torch.ops.onednn.qlinear_pointwise

    def kernel(x: torch.Tensor) -> torch.Tensor:
        rows = x.abs().amax(-1, keepdim=True).clamp(min=_TINY) / 127
        # The product takes unsigned inputs: 128 is their zero.
        quantized = (x / rows).round_().add_(128).to(torch.uint8)
        output: torch.Tensor = product(
            quantized, 1.0, 128, packed, scales, zeros, None, 1.0, 0, torch.float32, "none", [], ""
        )
        output *= rows
        return output if bias is None else output.add_(bias)

    return kernel
