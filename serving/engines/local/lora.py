"""LoRA adapters in mixed batches: the adapter can be switched off for single rows."""

import threading
from collections.abc import Sequence

import torch
from peft.tuners.lora import LoraLayer
from torch import nn

from snap2caption.errors import UserError
from snap2caption.vlm import SEEING


def changes_vision(model: nn.Module) -> bool:
    """Return whether a LoRA adapter in *model* changes the image features."""
    return any(
        isinstance(module, LoraLayer) and any(part in name for part in SEEING) for name, module in model.named_modules()
    )


class LoraSwitch:
    """Switches a model's LoRA adapter on and off per batch row, by multiplying its output with 1 or 0."""

    def __init__(self, model: nn.Module) -> None:
        """Install the switch in *model*.

        Raises:
            UserError: the adapter is not plain LoRA of linear layers (for example DoRA, or LoRA of embeddings).
        """
        self.changes_vision = changes_vision(model)
        """Whether the adapter changes the image features."""
        # Thread-local, because one thread may prefill while another decodes.
        self._local = threading.local()
        for module in model.modules():
            if not isinstance(module, LoraLayer):
                continue
            if module.lora_embedding_B or module.lora_magnitude_vector:
                raise UserError(
                    "The adapter is not plain LoRA of linear layers, the only kind that can be served; "
                    "train it with another recipe."
                )
            for output in module.lora_B.values():
                output.register_forward_hook(self._scale_output)

    def applied_to(self, rows: Sequence[bool] | bool) -> "_AdapterScope":
        """Return a context in which the adapter applies to the rows that are True, or to all rows or none."""
        if isinstance(rows, bool):
            return _AdapterScope(self, None if rows else torch.zeros(()))
        return _AdapterScope(self, None if all(rows) else torch.tensor(rows)[:, None, None])

    def _scale_output(self, _: nn.Module, __: object, output: torch.Tensor) -> torch.Tensor | None:
        scale: torch.Tensor | None = getattr(self._local, "scale", None)
        return None if scale is None else output * scale.to(output)


class _AdapterScope:
    def __init__(self, adapter: LoraSwitch, scale: torch.Tensor | None) -> None:
        self._adapter = adapter
        self._scale = scale

    def __enter__(self) -> None:
        self._adapter._local.scale = self._scale

    def __exit__(self, *_: object) -> None:
        self._adapter._local.scale = None
