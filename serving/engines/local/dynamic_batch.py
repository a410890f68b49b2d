"""Dynamic batch: one left-padded block that grows by a token per step, and is copied when sequences join or leave."""

import torch
from torch import nn

from serving.engines.local.kv_cache import KVCache
from serving.engines.local.sequence import PrefilledSequences, TokenSequence
from serving.engines.local.text_model import TextModel

_MAX_FINISHED_SHARE = 0.25
"""Finished sequences stay in the batch up to this share of it, because evicting them copies the cache."""


class DynamicBatch:
    """The sequences of a running batch and their KV cache.

    The batch is never larger than needed, so no two steps have the same tensor shapes.
    """

    def __init__(self, model: TextModel) -> None:
        self._model = model
        self.clear()

    def clear(self) -> None:
        """Drop all sequences."""
        self.sequences: list[TokenSequence] = []
        self._cache: KVCache | None = None
        self._mask = torch.empty(0)
        self._positions = torch.empty(0)

    def join(self, prefilled: PrefilledSequences) -> None:
        """Add prefilled sequences to the batch."""
        self._remove_finished()
        if self._cache is None:
            self.sequences, self._cache = prefilled.sequences, prefilled.cache
            self._mask, self._positions = prefilled.mask, prefilled.positions
            return
        self._cache.join(prefilled.cache)
        masks = (self._mask, prefilled.mask)
        width = max(mask.shape[1] for mask in masks)
        self._mask = torch.cat([nn.functional.pad(mask, (width - mask.shape[1], 0)) for mask in masks])
        self._positions = torch.cat([self._positions, prefilled.positions])
        self.sequences = [*self.sequences, *prefilled.sequences]

    def evict_finished(self) -> None:
        """Remove finished sequences once there are enough of them to make the copy worthwhile."""
        done = sum(sequence.done for sequence in self.sequences)
        if done == len(self.sequences) or done > _MAX_FINISHED_SHARE * len(self.sequences):
            self._remove_finished()

    def step(self) -> torch.Tensor:
        """Feed the last token of each sequence to the model. Return the next logits, of shape (rows, vocabulary)."""
        if self._cache is None:
            raise ValueError("The batch is empty.")
        ids = torch.tensor([[sequence.tokens[-1]] for sequence in self.sequences], device=self._mask.device)
        self._mask = nn.functional.pad(self._mask, (0, 1), value=1)
        logits = self._model.forward(
            self._model.embed(ids),
            self._positions[:, None],
            self._model.attention_bias(self._mask, 1),
            self._cache,
            self._model.adapted([not sequence.base_only for sequence in self.sequences]),
        )
        self._positions = self._positions + 1
        return logits

    def _remove_finished(self) -> None:
        """Remove finished sequences, and the padding columns that only they needed."""
        kept = [number for number, sequence in enumerate(self.sequences) if not sequence.done]
        if len(kept) == len(self.sequences) or self._cache is None:
            return
        if not kept:
            self.clear()
            return
        rows = torch.tensor(kept, device=self._mask.device)
        mask = self._mask[rows]
        padding = int(mask.any(0).int().argmax())
        self._cache.select(rows, padding)
        self._mask, self._positions = mask[:, padding:], self._positions[rows]
        self.sequences = [self.sequences[number] for number in kept]
