"""LoRA adapters in mixed batches: low-rank matrices that apply to some rows of a batch and not to others."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import torch
from torch import nn

from snap2caption.errors import UserError
from snap2caption.vlm import SEEING

if TYPE_CHECKING:
    from peft.tuners.lora import LoraLayer

AdaptedRows: TypeAlias = "torch.Tensor | bool"
"""The rows that an adapter applies to: all, none, or those with a 1 in a tensor of shape (rows, 1)."""


def changes_vision(model: nn.Module) -> bool:
    """Return whether a LoRA adapter in *model* changes the image features."""
    return any(_is_lora(module) and any(part in name for part in SEEING) for name, module in model.named_modules())


def check_plain(model: nn.Module) -> None:
    """Check that the adapter in *model* can be left out for single rows.

    Raises:
        UserError: the adapter is not plain LoRA of linear layers (for example DoRA, or LoRA of embeddings).
    """
    for module in model.modules():
        if _is_other(module) or (_is_lora(module) and not _is_plain(module)):
            raise UserError(
                "The adapter is not plain LoRA of linear layers, the only kind that can be served; "
                "train it with another recipe."
            )


def _is_lora(module: nn.Module) -> "TypeGuard[LoraLayer]":
    # Whoever loaded an adapter has imported PEFT, which takes a second; a model without one does without.
    return "peft" in sys.modules and isinstance(module, sys.modules["peft.tuners.lora"].LoraLayer)


def _is_other(module: nn.Module) -> bool:
    return "peft" in sys.modules and isinstance(module, sys.modules["peft.utils.other"].AuxiliaryTrainingWrapper)


def _is_plain(layer: "LoraLayer") -> bool:
    special: Any = (layer.lora_embedding_B, layer.lora_magnitude_vector, layer.lora_variant)
    return not any(special) and all(output.bias is None for output in layer.lora_B.values())


@dataclass(frozen=True, slots=True)
class LowRank:
    """What an adapter adds to the outputs of a product: ``x @ down @ up``."""

    down: torch.Tensor
    """Shape (rank, in)."""
    up: torch.Tensor
    """Shape (rank, out), with the adapter's scale."""

    def add(self, output: torch.Tensor, x: torch.Tensor, rows: AdaptedRows) -> torch.Tensor:
        """Add the adapter's part for the input *x*, of shape (rows, in), to *output*, of shape (rows, out). Return it."""
        if rows is False:
            return output
        low = nn.functional.linear(x, self.down)
        return output.addmm_(low if rows is True else low * rows, self.up)


def low_rank(layers: Sequence[nn.Module], dtype: torch.dtype) -> LowRank | None:
    """Return what the adapters of *layers*, which share their input, add to their concatenated outputs.

    None: no layer has an adapter.
    """
    pairs = [_matrices(layer) for layer in layers]
    down = torch.cat([down for down, _ in pairs])
    up = torch.block_diag(*(up for _, up in pairs))
    return LowRank(down.to(dtype), up.to(dtype)) if len(down) else None


def base_layer(layer: nn.Module) -> nn.Linear:
    """Return the linear layer itself, without an adapter."""
    plain = layer.get_base_layer() if _is_lora(layer) else layer
    if not isinstance(plain, nn.Linear):
        raise TypeError(f"A linear layer is expected, and this is a {type(plain).__name__}.")
    return plain


def _matrices(layer: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the matrices of a layer's adapter, of shapes (rank, in) and (rank, out); without one, the rank is 0."""
    plain = base_layer(layer)
    if not _is_lora(layer):
        empty = plain.weight.new_empty
        return empty((0, plain.in_features)), empty((0, plain.out_features))
    (name,) = layer.lora_A
    down, up = (getattr(layer, part)[name].weight.detach() for part in ("lora_A", "lora_B"))
    return down, up.T * layer.scaling[name]
