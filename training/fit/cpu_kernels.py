"""CPU kernels of training: frozen weights without their gradients, LoRA in the same pass, and causal attention.

What they save, compared with PEFT's layers under autocast (docs/benchmarks.md#training):

- float32: weights are packed by oneDNN once for each direction. MKL, which torch takes by default, reaches less than
  half of its rate on AMD's processors.
- bfloat16: PEFT widens a layer's input to the adapter's type, and autocast narrows it again. Here the adapter's small
  matrices are narrowed, as autocast does it, and products are added up in place.
- PyTorch's fused attention computes its products at a fifth of the rate of oneDNN in bfloat16.
"""

from dataclasses import dataclass
from typing import Any

import torch
from peft.tuners.lora import Linear as LoraLinear
from torch import nn
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

from snap2caption.vlm import is_vision
from snap2caption.vlm.kernels import Kernel, best_format, pack
from snap2caption.vlm.packed_linear import pack_vision, without_memory

ATTENTION = "snap2caption_causal_bmm"


def use(model: Any) -> None:
    """Let *model*, a base with an adapter, be trained by these kernels, in place, where this processor has them.

    Afterwards the frozen weights can't be read any more. The adapter's can: it is saved as before.
    """
    base = model.get_base_model()
    form = best_format(base.dtype)
    if form == "plain":
        return
    trained = [name for name, weight in base.named_parameters() if weight.requires_grad]
    if not any(is_vision(name) for name in trained):
        pack_vision(base)
    decoder = base.get_decoder()
    for module in list(decoder.layers.modules()):
        if type(module) is LoraLinear and type(module.base_layer) is nn.Linear:
            module.base_layer = FrozenLinear(module.base_layer)
            module.__class__ = FusedLoraLinear
        else:
            for name, child in list(module.named_children()):
                if type(child) is nn.Linear and not child.weight.requires_grad:
                    setattr(module, name, FrozenLinear(child))
    if form == "bfloat16":
        AttentionInterface.register(ATTENTION, _attend)
        AttentionMaskInterface.register(ATTENTION, sdpa_mask)
        base.set_attn_implementation({"text_config": ATTENTION})


@dataclass(frozen=True, slots=True)
class _Directions:
    """The product of a frozen weight with inputs of shape (rows, in), and the one with gradients of shape (rows, out)."""

    forward: Kernel
    backward: Kernel


class FrozenLinear(nn.Linear):
    """A linear layer whose weight and bias are not trained. Gradients flow through it to its input.

    Its weight is no parameter, and takes memory only where it is not packed.
    """

    def __init__(self, layer: nn.Linear) -> None:
        """Take the weight of *layer*."""
        nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        weight, bias = layer.weight.detach(), None if layer.bias is None else layer.bias.detach()
        self.bias: Any = None
        if weight.dtype == torch.float32:
            self.kernels = _Directions(pack(weight, bias, "float32"), pack(weight.t().contiguous(), None, "float32"))
            self.weight: Any = without_memory(weight)
        else:
            # Packed, they would be a twentieth faster, and take twice the memory.
            self.kernels = _Directions(lambda x: functional.linear(x, weight, bias), lambda gradient: gradient @ weight)
            self.weight = weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the layer's output, of shape (…, out), for *x* of shape (…, in)."""
        output: torch.Tensor = _FrozenProduct.apply(x.to(self.weight.dtype), self.kernels)
        return output


class FusedLoraLinear(LoraLinear):
    """PEFT's LoRA layer on a `FrozenLinear`, as one operation with a backward pass of its own.

    It computes as PEFT does wherever it is more than one adapter without dropout (as in Unsloth's ``LoRA_W``).
    """

    def forward(self, x: torch.Tensor, *arguments: Any, **named: Any) -> torch.Tensor:
        """Return the layer's output, of shape (…, out), for *x* of shape (…, in)."""
        (name, *others) = self.active_adapters
        if (
            others
            or arguments
            or named
            or self.disable_adapters
            or self.merged
            or name in self.lora_variant
            or not isinstance(self.lora_dropout[name], nn.Identity)
        ):
            return super().forward(x, *arguments, **named)
        frozen = self.base_layer
        output: torch.Tensor = _LoraProduct.apply(
            x.to(frozen.weight.dtype),
            self.lora_A[name].weight,
            self.lora_B[name].weight,
            self.scaling[name],
            frozen.kernels,
        )
        return output


class _FrozenProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, kernels: _Directions) -> torch.Tensor:
        ctx.kernels = kernels
        return kernels.forward(x.contiguous())

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        return ctx.kernels.backward(gradients[0].contiguous()), None


class _LoraProduct(torch.autograd.Function):
    """W x + scaling B A x, and its gradients for x, A and B."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, down: torch.Tensor, up: torch.Tensor, scaling: float, kernels: _Directions
    ) -> torch.Tensor:
        rows = x.reshape(-1, x.shape[-1])
        down, up = down.to(x.dtype), up.to(x.dtype)
        narrow = rows @ down.t()
        output = kernels.forward(rows.contiguous()).addmm_(narrow, up.t(), alpha=scaling)
        ctx.save_for_backward(rows, narrow, down, up)
        ctx.scaling, ctx.kernels, ctx.shape = scaling, kernels, x.shape
        return output.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        rows, narrow, down, up = ctx.saved_tensors
        gradient = gradients[0].reshape(-1, gradients[0].shape[-1]).contiguous()
        through = (gradient @ up).mul_(ctx.scaling)
        of_down = (through.t() @ rows).float()
        of_up = (gradient.t() @ narrow).float().mul_(ctx.scaling)
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = ctx.kernels.backward(gradient).addmm_(through, down).view(ctx.shape)
        return of_x, of_down, of_up, None, None


def _attend(
    _: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **__: object,
) -> tuple[torch.Tensor, None]:
    """Return the attended values, of shape (batch, tokens, heads, width), as transformers' interface has it.

    Args:
        query: shape (batch, heads, tokens, width); *key* and *value* have fewer heads, each for a group of them.
        attention_mask: shape (batch, 1, tokens, seen tokens), True for what may be seen; None: what came before.
        scaling: the scores' factor (default: the width to the power of -1/2).
    """
    factor = query.shape[-1] ** -0.5 if scaling is None else scaling
    heads, tokens, seen = key.shape[1], query.shape[2], key.shape[2]
    group = query.shape[1] // heads
    if attention_mask is None:
        # The same for all samples and heads, so it is broadcast.
        visible = (
            torch.ones(tokens, seen, dtype=torch.bool, device=query.device).tril(seen - tokens).repeat(group, 1)[None]
        )
    else:
        visible = attention_mask[:, :, None].expand(-1, heads, group, -1, -1).reshape(-1, group * tokens, seen)
    bias = query.new_zeros(visible.shape).masked_fill_(~visible, -torch.inf)
    attended: torch.Tensor = _Attention.apply(query, key, value, bias, factor)
    return attended.transpose(1, 2), None


class _Attention(torch.autograd.Function):
    """Attention whose scores are computed again in the backward pass, as FlashAttention does (Dao et al. 2022)."""

    @staticmethod
    def forward(
        ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bias: torch.Tensor, factor: float
    ) -> torch.Tensor:
        ctx.save_for_backward(query, key, value, bias)
        ctx.factor = factor
        scores = _probabilities(query, key, bias, factor)
        return torch.bmm(scores, value.flatten(0, 1)).view(query.shape)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, bias = ctx.saved_tensors
        batch, heads, _, width = key.shape
        # The queries of a group are rows of one product.
        asked = query.reshape(batch * heads, -1, width)
        gradient = gradients[0].reshape(batch * heads, -1, width)
        seen = _probabilities(query, key, bias, ctx.factor)
        of_value = torch.bmm(seen.transpose(1, 2), gradient).view(value.shape)
        of_seen = torch.bmm(gradient, value.flatten(0, 1).transpose(1, 2))
        of_scores = torch._softmax_backward_data(of_seen, seen, -1, seen.dtype)
        of_query = torch.bmm(of_scores, key.flatten(0, 1)).mul_(ctx.factor).view(query.shape)
        of_key = torch.bmm(of_scores.transpose(1, 2), asked).mul_(ctx.factor).view(key.shape)
        return of_query, of_key, of_value, None, None


def _probabilities(query: torch.Tensor, key: torch.Tensor, bias: torch.Tensor, factor: float) -> torch.Tensor:
    """Return how much each query sees of each token: (batch times key heads, queries of the group, tokens)."""
    batch, heads, seen, width = key.shape
    asked, known = query.reshape(batch * heads, -1, width), key.reshape(batch * heads, seen, width)
    return torch.baddbmm(bias, asked, known.transpose(1, 2), alpha=factor).softmax(-1)
