"""What a running batch remembers: keys and values of every layer, of rows that join, leave and grow by a token a step."""

from collections.abc import Sequence

import torch
from transformers.cache_utils import Cache, DynamicLayer

_ROOM = 64
"""Tokens that a layer grows by at once."""


class _LayerCache(DynamicLayer):
    """Keys and values of shape (rows, heads, tokens, width). They are written into room kept free: transformers' own copies all of it each step."""

    keys: torch.Tensor
    values: torch.Tensor

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: object, **__: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append the states of new tokens; return all."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._store(key_states, value_states)
            return key_states, value_states
        held, more = self.keys.shape[2], key_states.shape[2]
        if held + more > self._room[0].shape[2]:
            self._store(self.keys, self.values)
        for room, states in zip(self._room, (key_states, value_states), strict=True):
            room[:, :, held : held + more] = states
        self.keys, self.values = (room[:, :, : held + more] for room in self._room)
        return self.keys, self.values

    def rearrange(self, rows: torch.Tensor, drop: int) -> None:
        """Keep the rows of these numbers, in this order and as often, without their first *drop* tokens."""
        self._store(self.keys[rows, :, drop:], self.values[rows, :, drop:])

    def join(self, other: "_LayerCache") -> None:
        """Add the rows of *other* below. The shorter ones are filled up on the left."""
        tokens = max(self.keys.shape[2], other.keys.shape[2])
        self._room = [_room_for(tokens, pair) for pair in ((self.keys, other.keys), (self.values, other.values))]
        self._show(tokens)

    def _store(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        self._room = [_room_for(keys.shape[2], (states,)) for states in (keys, values)]
        self._show(keys.shape[2])

    def _show(self, tokens: int) -> None:
        self.keys, self.values = (room[:, :, :tokens] for room in self._room)


def _room_for(tokens: int, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return room for the rows of all *parts* and some more tokens; the first *tokens* of it are written, ending with the parts' own."""
    first = parts[0]
    rows = sum(len(part) for part in parts)
    room = first.new_empty((rows, first.shape[1], tokens + _ROOM, first.shape[3]))
    for part, own in zip(parts, room.split([len(part) for part in parts]), strict=True):
        padding = tokens - part.shape[2]
        # Zeros, though they are never looked at: what is masked is still multiplied, and old memory may hold NaN.
        own[:, :, :padding] = 0
        own[:, :, padding:tokens] = part
    return room


class KVCache(Cache):
    """The layers of one batch."""

    layers: Sequence[_LayerCache]

    def __init__(self) -> None:
        super().__init__(layer_class_to_replicate=_LayerCache)

    def rearrange(self, rows: torch.Tensor, drop: int = 0) -> None:
        """Keep the rows of these numbers, in this order and as often, without their first *drop* tokens."""
        for layer in self.layers:
            layer.rearrange(rows, drop)

    def join(self, other: "KVCache") -> None:
        """Add the rows of *other* below."""
        for layer, more in zip(self.layers, other.layers, strict=True):
            layer.join(more)
