"""Chunked prefill: photos and prompts are read a bounded number of tokens at a time, between two decoding steps."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers.modeling_outputs import BaseModelOutputWithPooling

from serving.engines.local.kv_cache import KVCache
from serving.engines.local.lora import LoraSwitch
from serving.engines.local.prefill import PrefillInputs
from serving.engines.local.sequence import PrefilledSequences, TokenSequence


class ChunkedPrefill:
    """The prefill of one batch, chunk by chunk."""

    def __init__(
        self,
        model: Any,
        adapter: LoraSwitch,
        inputs: PrefillInputs,
        features: torch.Tensor,
        sequences: Sequence[Sequence[TokenSequence]],
        described: Sequence[int],
        chunk: int,
        unfamiliarity: Sequence[float] = (),
    ) -> None:
        """Set up the prefill. No token is read yet.

        Args:
            model: the model without PEFT's wrapper.
            adapter: its LoRA adapter, which applies to the prompts but not to the descriptions.
            inputs: the prompts first, then the descriptions.
            features: image features in the order of the inputs, of shape (image tokens, width).
            sequences: the texts to generate for each photo.
            described: the indices of the photos that need a description.
            chunk: the most tokens to read at once, over all inputs together.
            unfamiliarity: each photo's out-of-distribution score; empty: the model has no reference.
        """
        self.unfamiliarity = unfamiliarity
        self._model = model
        self._adapter = adapter
        self._inputs = inputs
        self._features = features
        self._sequences = sequences
        self._described = described
        self._columns = max(1, chunk // len(inputs.ids))
        self._cache = KVCache()
        self._positions = (inputs.mask.cumsum(1) - 1).clamp(min=0)
        self._is_image = inputs.ids == model.config.image_token_id
        self._feature_index = self._is_image.flatten().cumsum(0).view_as(self._is_image) - 1
        self._done = 0

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def step(self) -> PrefilledSequences | None:
        """Read the next chunk. Return the sequences, ready to join a batch, after the last chunk; until then None."""
        ids = self._inputs.ids
        chunk = slice(self._done, self._done + self._columns)
        self._done = min(chunk.stop, ids.shape[1])
        indices = self._feature_index[:, chunk][self._is_image[:, chunk]]
        images = (
            {"image": BaseModelOutputWithPooling(pooler_output=[self._features[indices]])} if len(indices) else None
        )
        photos = len(self._sequences)
        with self._adapter.applied_to([number < photos for number in range(len(ids))]):
            logits = self._model(
                input_ids=ids[:, chunk],
                attention_mask=self._inputs.mask[:, : self._done],
                position_ids=self._positions[:, chunk],
                mm_encoder_outputs=images,
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1]
        return None if self._done < ids.shape[1] else self._finish(logits)

    def _finish(self, logits: torch.Tensor) -> PrefilledSequences:
        """Copy each input's row to all sequences that continue from it."""
        mask = self._inputs.mask
        descriptions = {number: len(self._sequences) + place for place, number in enumerate(self._described)}
        pairs = [
            (descriptions[number] if sequence.base_only else number, sequence)
            for number, of_photo in enumerate(self._sequences)
            for sequence in of_photo
        ]
        rows = torch.tensor([row for row, _ in pairs], device=mask.device)
        self._cache.select(rows)
        positions = self._positions[rows, -1] + 1
        return PrefilledSequences(
            [sequence for _, sequence in pairs], self._cache, mask[rows], positions, logits[rows], int(mask.sum())
        )
