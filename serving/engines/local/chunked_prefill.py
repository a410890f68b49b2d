"""Prefill: photos and prompts are read by a bounded number of tokens at a time, so that others are written about in between."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers.modeling_outputs import BaseModelOutputWithPooling

from serving.engines.local.kv_cache import KVCache
from serving.engines.local.lora import LoraSwitch
from serving.engines.local.prefill import PrefillInputs
from serving.engines.local.sequence import PrefilledSequences, TokenSequence


class ChunkedPrefill:
    """The reading of one batch, chunk by chunk."""

    def __init__(
        self,
        model: Any,
        adapter: LoraSwitch,
        reading: PrefillInputs,
        features: torch.Tensor,
        rows: Sequence[Sequence[TokenSequence]],
        described: Sequence[int],
        chunk: int,
    ) -> None:
        """Take what is to be read.

        Args:
            model: without PEFT's wrapper.
            adapter: the adapter in it, which counts for the prompts and not for the descriptions.
            reading: prompts first, then the descriptions.
            features: of the pictures, in the order of the sequences: (image tokens, width).
            rows: those of each photo.
            described: the numbers of the photos that are described.
            chunk: tokens that are read at once, of all sequences together.
        """
        self._model = model
        self._adapter = adapter
        self._reading = reading
        self._features = features
        self._rows = rows
        self._described = described
        self._columns = max(1, chunk // len(reading.ids))
        self._cache = KVCache()
        self._positions = (reading.mask.cumsum(1) - 1).clamp(min=0)
        self._is_image = reading.ids == model.config.image_token_id
        self._feature_of = self._is_image.flatten().cumsum(0).view_as(self._is_image) - 1
        self._done = 0

    @property
    def rows(self) -> list[TokenSequence]:
        """All rows that are read for."""
        return [row for own in self._rows for row in own]

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def step(self) -> PrefilledSequences | None:
        """Read the next chunk. Return the rows as they join a batch, once all is read."""
        ids = self._reading.ids
        chunk = slice(self._done, self._done + self._columns)
        self._done = min(chunk.stop, ids.shape[1])
        seen = self._feature_of[:, chunk][self._is_image[:, chunk]]
        pictures = {"image": BaseModelOutputWithPooling(pooler_output=[self._features[seen]])} if len(seen) else None
        photos = len(self._rows)
        with self._adapter.only([number < photos for number in range(len(ids))]):
            logits = self._model(
                input_ids=ids[:, chunk],
                attention_mask=self._reading.mask[:, : self._done],
                position_ids=self._positions[:, chunk],
                mm_encoder_outputs=pictures,
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1]
        return None if self._done < ids.shape[1] else self._joining(logits)

    def _joining(self, logits: torch.Tensor) -> PrefilledSequences:
        mask = self._reading.mask
        descriptions = {number: len(self._rows) + place for place, number in enumerate(self._described)}
        placed = [
            (descriptions[number] if row.bare else number, row) for number, own in enumerate(self._rows) for row in own
        ]
        places = torch.tensor([place for place, _ in placed], device=mask.device)
        self._cache.rearrange(places)
        positions = self._positions[places, -1] + 1
        return PrefilledSequences(
            [row for _, row in placed], self._cache, mask[places], positions, logits[places], int(mask.sum())
        )
