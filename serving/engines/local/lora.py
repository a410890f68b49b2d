"""The LoRA adapter in a batch of which some rows do without."""

import threading
from collections.abc import Sequence

import torch
from peft.tuners.lora import LoraLayer
from torch import nn

from snap2caption.errors import UserError
from snap2caption.vlm import SEEING


class LoraSwitch:
    """The LoRA adapter of a model, which some rows of a batch can do without: what it adds is multiplied by 1 or 0, row by row."""

    def __init__(self, model: nn.Module) -> None:
        self.sees = False
        """Whether it changes what is seen of a picture."""
        # Each thread has its own: one may read photos while another writes.
        self._local = threading.local()
        for name, module in model.named_modules():
            if not isinstance(module, LoraLayer):
                continue
            if module.lora_embedding_B or module.lora_magnitude_vector:
                raise UserError(
                    "The adapter is more than plain LoRA of linear layers, which is all that is served; train it with another recipe."
                )
            self.sees |= any(part in name for part in SEEING)
            for added in module.lora_B.values():
                added.register_forward_hook(self._scale)

    def only(self, rows: Sequence[bool] | bool) -> "_Only":
        """Within this context, the adapter counts only for these rows (True), or for all or none."""
        if isinstance(rows, bool):
            return _Only(self, None if rows else torch.zeros(()))
        return _Only(self, None if all(rows) else torch.tensor(rows)[:, None, None])

    def _scale(self, _: nn.Module, __: object, added: torch.Tensor) -> torch.Tensor | None:
        share: torch.Tensor | None = getattr(self._local, "share", None)
        return None if share is None else added * share.to(added)


class _Only:
    def __init__(self, adapter: LoraSwitch, share: torch.Tensor | None) -> None:
        self._adapter = adapter
        self._share = share

    def __enter__(self) -> None:
        self._adapter._local.share = self._share

    def __exit__(self, *_: object) -> None:
        self._adapter._local.share = None
