"""Compiled decoding steps: a text model whose tokens are computed by Numba's functions between the matrix products."""

from typing import Any, NamedTuple

import numpy as np
import torch

from serving.engines.local.kv_cache import KVCache
from serving.engines.local.lora import AdaptedRows, LowRank
from serving.engines.local.step_kernels import Array, add_low_rank, add_norm, attend, swiglu
from serving.engines.local.text_model import TextModel, TextWeights
from snap2caption.vlm.kernels import Kernel


class CompiledTextModel(TextModel):
    """A text model whose decoding steps are compiled. It prefills as any other."""

    def __init__(self, model: Any, weights: TextWeights, *, max_rows: int | None = None) -> None:
        """Take the adapter of *model*, whose base has these *weights*; see `can_compile`.

        *max_rows* is the most rows of a compiled step, which is computed by one thread.
        """
        super().__init__(model, weights)
        self._max_rows = max_rows
        self._norms = [norm.numpy() for norm in weights.norms()]
        self._low_ranks = [
            [_arrays(part) for part in (adapter.qkv, adapter.out, adapter.gate_up, adapter.down)]
            for adapter in self._adapters
        ]

    def step(self, ids: torch.Tensor, padding: torch.Tensor, cache: KVCache, adapted: AdaptedRows) -> torch.Tensor:
        """Compute one more token of each sequence, as `TextModel.step` does."""
        rows = len(ids)
        if self._max_rows is not None and rows > self._max_rows:
            return super().step(ids, padding, cache, adapted)
        embeddings = self.embed(ids)
        positions = (cache.tokens - padding)[:, None]
        cos, sin = (one.squeeze(1).numpy() for one in self._rotary(embeddings, positions))
        buffer, first, new = cache.append()
        states, starts = buffer.numpy(), padding.numpy() + first
        if self._window is not None:
            starts = np.maximum(starts, new + 1 - self._window)
        marks = _row_marks(adapted, rows)
        x, epsilon = embeddings.squeeze(1).numpy(), np.float32(self._epsilon)
        normed, attended = _Vectors.make(rows, x.shape[1]), _Vectors.make(rows, self._heads * self._head_dim)
        gated = _Vectors.make(rows, self._intermediate)
        attention_norms, mlp_norms = self._norms[::2], self._norms[1::2]
        add_norm(x, np.zeros_like(x), attention_norms[0], epsilon, normed.array)
        for number, (layer, low_ranks) in enumerate(zip(self._weights.layers, self._low_ranks, strict=True)):
            qkv, out, gate_up, down = low_ranks
            attend(_product(layer.qkv, qkv, normed, marks), cos, sin, states[number], starts, new, attended.array)
            added = _product(layer.out, out, attended, marks)
            add_norm(x, added, mlp_norms[number], epsilon, normed.array)
            swiglu(_product(layer.gate_up, gate_up, normed, marks), gated.array)
            added = _product(layer.down, down, gated, marks)
            # The last one is the norm before the output layer.
            add_norm(x, added, attention_norms[number + 1], epsilon, normed.array)
        return self.logits(normed.tensor, adapted)


class _Vectors(NamedTuple):
    """One block of memory, of shape (rows, width): a tensor for the products, an array for the compiled functions."""

    tensor: torch.Tensor
    array: Array

    @classmethod
    def make(cls, rows: int, width: int) -> "_Vectors":
        tensor = torch.empty(rows, width)
        return cls(tensor, tensor.numpy())


def _arrays(adapter: LowRank | None) -> tuple[Array, Array] | None:
    return (adapter.down.contiguous().numpy(), adapter.up.contiguous().numpy()) if adapter else None


def _row_marks(adapted: AdaptedRows, rows: int) -> Array | None:
    """Return a number for each row, 0 where the adapter does not apply; None if it applies nowhere."""
    if isinstance(adapted, torch.Tensor):
        marks: Array = adapted.squeeze(1).numpy()
        return marks
    return np.ones(rows, np.float32) if adapted else None


def _product(kernel: Kernel, low_rank: tuple[Array, Array] | None, x: _Vectors, marks: Array | None) -> Array:
    output: Array = kernel(x.tensor).numpy()
    if low_rank and marks is not None:
        add_low_rank(x.array, *low_rank, marks, output)
    return output
