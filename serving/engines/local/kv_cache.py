"""KV cache for continuous batching: keys and values of sequences that join, leave and grow by a token per step."""

from collections.abc import Sequence

import torch

_GROWTH = 64
"""The number of tokens that the buffer grows by at once."""

_PREFETCHED = 1 << 20
"""The least bytes of a layer's states that are worth a prefetch: a core's own cache holds about as much."""


class KVCache:
    """The keys and values of one batch, over all layers, in one buffer with spare capacity for new tokens.

    Rows join and leave in place: all rows end at the same token, and those that were removed make room for others.
    """

    def __init__(self, layers: int, rows: int, heads: int, width: int, like: torch.Tensor) -> None:
        """Make an empty cache of the type and on the device of *like*."""
        self._rows = rows
        # The tokens that the rows hold are those from the first to the last, which is not included.
        self._first = self._last = 0
        # Axes: layer, keys or values, row, head, token, width.
        self._buffer = like.new_zeros((layers, 2, rows, heads, _GROWTH, width))
        # Views: keys and values of each layer in turn, of the newest tokens and of all; and layer by layer, of all.
        self._new: Sequence[torch.Tensor] = ()
        self._all: Sequence[torch.Tensor] = ()
        self._layers: Sequence[torch.Tensor] = ()

    @property
    def tokens(self) -> int:
        """The number of tokens that each row holds."""
        return self._last - self._first

    def extend(self, tokens: int) -> None:
        """Make room for *tokens* more tokens of each row, whose states `write` then sets, layer by layer."""
        self._grow(tokens)
        # Taking all views at once is several times faster than layer by layer.
        held = self._held()
        self._new = held[..., -tokens:, :].flatten(0, 1).unbind()
        self._all, self._layers = held.flatten(0, 1).unbind(), held.unbind()

    def append(self) -> tuple[torch.Tensor, int, int]:
        """Make room for one more token of each row, whose states the caller sets.

        Returns:
            The buffer, of shape (layers, 2 for keys and values, rows or more, heads, tokens or more, width), and the
            places of the first token and of the new one in it.
        """
        self._grow(1)
        return self._buffer, self._first, self._last - 1

    def write(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Set the states of the newest tokens in *layer*, of shape (rows, heads, new tokens, width).

        Returns the states of all tokens.
        """
        self._new[2 * layer].copy_(keys)
        self._new[2 * layer + 1].copy_(values)
        return self._all[2 * layer], self._all[2 * layer + 1]

    def prefetch(self, layer: int) -> None:
        """Read the states of *layer* in order, before attention does, if there are many and a CPU is going to.

        For one query per row, attention's products are MKL's ``gemv``, which waits for each line of memory that is not
        in the processor's cache. A sum reads ahead.
        """
        states = self._layers[layer]
        if states.is_cpu and states.nbytes > _PREFETCHED:
            states.sum()

    def repeat(self, rows: torch.Tensor) -> None:
        """Hold copies of the given rows, in this order."""
        self._replace([self._held()[:, :, rows]], self.tokens)

    def keep(self, rows: Sequence[int], skip: int) -> None:
        """Keep the given rows, without their first *skip* tokens.

        Args:
            rows: the row for each place: the one that is there, or one beyond the last place.
            skip: the number of tokens.
        """
        self._first += skip
        held = self._held()
        for place, row in enumerate(rows):
            if row != place:
                held[:, :, place] = held[:, :, row]
        self._rows = len(rows)

    def join(self, other: "KVCache") -> None:
        """Append the rows of *other*. The shorter ones are padded on the left."""
        rows = self._rows + other._rows
        if rows > self._buffer.shape[2] or other.tokens > self._last:
            self._replace([self._held(), other._held()], max(self.tokens, other.tokens))
            return
        self._first = min(self._first, self._last - other.tokens)
        _fill(self._buffer[:, :, self._rows : rows, :, : self._last], other._held())
        self._rows = rows

    def _grow(self, tokens: int) -> None:
        if self._last + tokens > self._buffer.shape[4]:
            self._replace([self._held()], self.tokens, spare=tokens + _GROWTH)
        self._last += tokens

    def _held(self) -> torch.Tensor:
        return self._buffer[:, :, : self._rows, :, self._first : self._last]

    def _replace(self, parts: Sequence[torch.Tensor], tokens: int, spare: int = _GROWTH) -> None:
        """Use a new buffer for *tokens* tokens and some more, with the rows of all *parts*."""
        first = parts[0]
        rows = [part.shape[2] for part in parts]
        self._rows, self._first, self._last = sum(rows), 0, tokens
        self._new = self._all = self._layers = ()
        self._buffer = first.new_empty((*first.shape[:2], self._rows, first.shape[3], tokens + spare, first.shape[5]))
        for part, target in zip(parts, self._buffer[..., :tokens, :].split(rows, dim=2), strict=True):
            _fill(target, part)


def _fill(target: torch.Tensor, part: torch.Tensor) -> None:
    """Copy *part* to the end of *target*."""
    padding = target.shape[4] - part.shape[4]
    # Masked positions are still multiplied, and uninitialized memory may hold NaN, so padding must be zero.
    target[..., :padding, :] = 0
    target[..., padding:, :] = part
