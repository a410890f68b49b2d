"""KV cache for continuous batching: keys and values of sequences that join, leave and grow by a token per step."""

from collections.abc import Sequence

import torch
from transformers.cache_utils import Cache, DynamicLayer

_GROWTH = 64
"""The number of tokens that a layer's buffers grow by at once."""


class _LayerCache(DynamicLayer):
    """Keys and values of one layer, each of shape (rows, heads, tokens, width).

    New states are written into spare capacity. The cache of transformers copies all states at each step.
    """

    keys: torch.Tensor
    values: torch.Tensor

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: object, **__: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append the states of new tokens; return all states."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._store(key_states, value_states)
            return key_states, value_states
        held, more = self.keys.shape[2], key_states.shape[2]
        if held + more > self._buffers[0].shape[2]:
            self._store(self.keys, self.values)
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:, :, held : held + more] = states
        self._set_views(held + more)
        return self.keys, self.values

    def select(self, rows: torch.Tensor, skip: int) -> None:
        """Keep the given rows, in this order and with repetitions, without their first *skip* tokens."""
        self._store(self.keys[rows, :, skip:], self.values[rows, :, skip:])

    def join(self, other: "_LayerCache") -> None:
        """Append the rows of *other*. The shorter ones are padded on the left."""
        tokens = max(self.keys.shape[2], other.keys.shape[2])
        self._buffers = [_allocate(tokens, pair) for pair in ((self.keys, other.keys), (self.values, other.values))]
        self._set_views(tokens)

    def _store(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        self._buffers = [_allocate(keys.shape[2], (states,)) for states in (keys, values)]
        self._set_views(keys.shape[2])

    def _set_views(self, tokens: int) -> None:
        self.keys, self.values = (buffer[:, :, :tokens] for buffer in self._buffers)


def _allocate(tokens: int, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return a buffer with the rows of all *parts*, right-aligned at *tokens*, and spare capacity after that."""
    first = parts[0]
    rows = sum(len(part) for part in parts)
    buffer = first.new_empty((rows, first.shape[1], tokens + _GROWTH, first.shape[3]))
    for part, target in zip(parts, buffer.split([len(part) for part in parts]), strict=True):
        padding = tokens - part.shape[2]
        # Masked positions are still multiplied, and uninitialized memory may hold NaN, so padding must be zero.
        target[:, :, :padding] = 0
        target[:, :, padding:tokens] = part
    return buffer


class KVCache(Cache):
    """The KV cache of one batch, over all layers."""

    layers: Sequence[_LayerCache]

    def __init__(self) -> None:
        super().__init__(layer_class_to_replicate=_LayerCache)

    def select(self, rows: torch.Tensor, skip: int = 0) -> None:
        """Keep the given rows, in this order and with repetitions, without their first *skip* tokens."""
        for layer in self.layers:
            layer.select(rows, skip)

    def join(self, other: "KVCache") -> None:
        """Append the rows of *other*."""
        for layer, more in zip(self.layers, other.layers, strict=True):
            layer.join(more)
