"""KV cache for continuous batching: keys and values of sequences that join, leave and grow by a token per step."""

from collections.abc import Sequence

import torch

_GROWTH = 64
"""The number of tokens that the buffer grows by at once."""


class KVCache:
    """The keys and values of one batch, over all layers, in one buffer with spare capacity for new tokens."""

    def __init__(self, layers: int, rows: int, heads: int, width: int, like: torch.Tensor) -> None:
        """Make an empty cache of the type and on the device of *like*."""
        self.tokens = 0
        """The number of tokens that each row holds."""
        # Axes: layer, keys or values, row, head, token, width.
        self._buffer = like.new_zeros((layers, 2, rows, heads, _GROWTH, width))

    def extend(self, tokens: int) -> None:
        """Make room for *tokens* more tokens of each row, whose states `write` then sets, layer by layer."""
        needed = self.tokens + tokens
        if needed > self._buffer.shape[4]:
            self._buffer = _allocate(needed, [self._held()], before=0)
        self.tokens = needed

    def write(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Set the states of the newest tokens in *layer*, of shape (rows, heads, new tokens, width).

        Returns the states of all tokens.
        """
        new = slice(self.tokens - keys.shape[2], self.tokens)
        held = self._buffer[layer]
        held[0, :, :, new] = keys
        held[1, :, :, new] = values
        return held[0, :, :, : self.tokens], held[1, :, :, : self.tokens]

    def select(self, rows: torch.Tensor, skip: int = 0) -> None:
        """Keep the given rows, in this order and with repetitions, without their first *skip* tokens."""
        kept = self._held()[:, :, rows, :, skip:]
        self.tokens -= skip
        self._buffer = _allocate(self.tokens, [kept])

    def join(self, other: "KVCache") -> None:
        """Append the rows of *other*. The shorter ones are padded on the left."""
        parts = [self._held(), other._held()]
        self.tokens = max(self.tokens, other.tokens)
        self._buffer = _allocate(self.tokens, parts)

    def _held(self) -> torch.Tensor:
        return self._buffer[:, :, :, :, : self.tokens]


def _allocate(tokens: int, parts: Sequence[torch.Tensor], before: int | None = None) -> torch.Tensor:
    """Return a buffer for *tokens* tokens and some more, with the rows of all *parts*.

    They end at *tokens* or, with *before*, start at that token.
    """
    first = parts[0]
    rows = [part.shape[2] for part in parts]
    shape = (*first.shape[:2], sum(rows), first.shape[3], tokens + _GROWTH, first.shape[5])
    buffer = first.new_empty(shape)
    for part, target in zip(parts, buffer.split(rows, dim=2), strict=True):
        start = tokens - part.shape[4] if before is None else before
        # Masked positions are still multiplied, and uninitialized memory may hold NaN, so padding must be zero.
        target[..., :start, :] = 0
        target[..., start : start + part.shape[4], :] = part
    return buffer
