"""A batch that is as large as its rows: one block, padded on the left, that grows by a token a step and is copied as rows come and go."""

from typing import Any

import torch
from torch import nn

from serving.engines.local.kv_cache import KVCache
from serving.engines.local.lora import LoraSwitch
from serving.engines.local.sequence import PrefilledSequences, TokenSequence

_IDLE = 0.25
"""Rows that are done stay in the batch until they are more than this share of it: to let them go copies the cache."""


class DynamicBatch:
    """The rows of a running batch and what they remember. No product is larger than it must be, and no two steps are of the same shape."""

    def __init__(self, model: Any, adapter: LoraSwitch) -> None:
        self._model = model
        self._adapter = adapter
        self.clear()

    def clear(self) -> None:
        """Leave all rows."""
        self.rows: list[TokenSequence] = []
        self._cache: KVCache | None = None
        self._mask = torch.empty(0)
        self._positions = torch.empty(0)

    def join(self, joining: PrefilledSequences) -> None:
        """Go on with rows that have been read beside the others."""
        self._leave()
        if self._cache is None:
            self.rows, self._cache = joining.rows, joining.cache
            self._mask, self._positions = joining.mask, joining.positions
            return
        self._cache.join(joining.cache)
        masks = (self._mask, joining.mask)
        width = max(mask.shape[1] for mask in masks)
        self._mask = torch.cat([nn.functional.pad(mask, (width - mask.shape[1], 0)) for mask in masks])
        self._positions = torch.cat([self._positions, joining.positions])
        self.rows = [*self.rows, *joining.rows]

    def settle(self) -> None:
        """Let rows go that are done, many at once."""
        done = sum(row.done for row in self.rows)
        if done == len(self.rows) or done > _IDLE * len(self.rows):
            self._leave()

    def step(self) -> torch.Tensor:
        """Read the last token of each row. Return what may follow: logits of shape (rows, vocabulary)."""
        ids = torch.tensor([[row.tokens[-1]] for row in self.rows], device=self._mask.device)
        self._mask = nn.functional.pad(self._mask, (0, 1), value=1)
        with self._adapter.only([not row.bare for row in self.rows]):
            logits: torch.Tensor = self._model(
                input_ids=ids,
                attention_mask=self._mask,
                position_ids=self._positions[:, None],
                past_key_values=self._cache,
                use_cache=True,
            ).logits[:, -1]
        self._positions = self._positions + 1
        return logits

    def _leave(self) -> None:
        """Let rows go that are done, and the columns that only they needed."""
        kept = [number for number, row in enumerate(self.rows) if not row.done]
        if len(kept) == len(self.rows) or self._cache is None:
            return
        if not kept:
            self.clear()
            return
        rows = torch.tensor(kept, device=self._mask.device)
        mask = self._mask[rows]
        drop = int(mask.any(0).int().argmax())
        self._cache.rearrange(rows, drop)
        self._mask, self._positions = mask[:, drop:], self._positions[rows]
        self.rows = [self.rows[number] for number in kept]
