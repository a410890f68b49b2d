"""Dynamic batch: one left-padded block that grows by a token per step, and whose sequences join and leave in place."""

import torch

from serving.engines.local.kv_cache import KVCache
from serving.engines.local.sequence import PrefilledSequences, TokenSequence
from serving.engines.local.text_model import TextModel


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
        self._padding = torch.empty(0)

    def join(self, prefilled: PrefilledSequences) -> None:
        """Add prefilled sequences to the batch."""
        self.evict_finished()
        if self._cache is None:
            self.sequences, self._cache, self._padding = prefilled.sequences, prefilled.cache, prefilled.padding
            return
        shorter = self._cache.tokens, prefilled.cache.tokens
        self._cache.join(prefilled.cache)
        paddings = self._padding, prefilled.padding
        added = (padding + self._cache.tokens - tokens for padding, tokens in zip(paddings, shorter, strict=True))
        self._padding = torch.cat([*added])
        self.sequences = [*self.sequences, *prefilled.sequences]

    def evict_finished(self) -> None:
        """Remove finished sequences, and the padding that only they needed.

        Sequences from the end take their places, so that the others stay where they are.
        """
        kept = [number for number, sequence in enumerate(self.sequences) if not sequence.done]
        if len(kept) == len(self.sequences) or self._cache is None:
            return
        if not kept:
            self.clear()
            return
        moved = [number for number in kept if number >= len(kept)]
        order = [moved.pop() if self.sequences[place].done else place for place in range(len(kept))]
        padding = self._padding[order]
        unused = int(padding.min())
        self._cache.keep(order, unused)
        self._padding = padding - unused
        self.sequences = [self.sequences[number] for number in order]

    def step(self) -> torch.Tensor:
        """Feed the last token of each sequence to the model. Return the next logits, of shape (rows, vocabulary)."""
        if self._cache is None:
            raise ValueError("The batch is empty.")
        ids = torch.tensor([[sequence.tokens[-1]] for sequence in self.sequences], device=self._padding.device)
        adapted = self._model.adapted([not sequence.base_only for sequence in self.sequences])
        return self._model.step(ids, self._padding, self._cache, adapted)
