"""What a running batch remembers: keys and values of every layer, of rows that join, leave and grow by a token a step."""

from collections.abc import Sequence

import torch
from transformers.cache_utils import Cache, DynamicLayer

_ROOM = 64
"""Tokens that a layer grows by at once."""


class _Layer(DynamicLayer):
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

    def join(self, other: "_Layer") -> None:
        """Add the rows of *other* below. The shorter ones are filled up on the left."""
        tokens = max(self.keys.shape[2], other.keys.shape[2])
        self._store(
            torch.cat([pad_left(self.keys, tokens), pad_left(other.keys, tokens)]),
            torch.cat([pad_left(self.values, tokens), pad_left(other.values, tokens)]),
        )

    def _store(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        tokens = keys.shape[2]
        rooms = []
        for states in (keys, values):
            # Zeros, though they are never looked at: what is masked is still multiplied, and old memory may hold NaN.
            room = states.new_zeros((*states.shape[:2], tokens + _ROOM, states.shape[3]))
            room[:, :, :tokens] = states
            rooms.append(room)
        self._room = rooms
        self.keys, self.values = (room[:, :, :tokens] for room in rooms)


class AttentionCache(Cache):
    """The layers of one batch."""

    layers: Sequence[_Layer]

    def __init__(self) -> None:
        super().__init__(layer_class_to_replicate=_Layer)

    def rearrange(self, rows: torch.Tensor, drop: int = 0) -> None:
        """Keep the rows of these numbers, in this order and as often, without their first *drop* tokens."""
        for layer in self.layers:
            layer.rearrange(rows, drop)

    def join(self, other: "AttentionCache") -> None:
        """Add the rows of *other* below."""
        for layer, more in zip(self.layers, other.layers, strict=True):
            layer.join(more)


def pad_left(states: torch.Tensor, tokens: int) -> torch.Tensor:
    """Return *states*, of shape (rows, heads, tokens, width), filled up with zeros on the left to so many *tokens*."""
    return torch.nn.functional.pad(states, (0, 0, tokens - states.shape[2], 0))
