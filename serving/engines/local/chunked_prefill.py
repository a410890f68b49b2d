"""Chunked prefill: photos and prompts are read a bounded number of tokens at a time, between two decoding steps."""

from collections.abc import Sequence

import torch

from serving.engines.local.prefill import PrefillInputs
from serving.engines.local.sequence import PrefilledSequences, TokenSequence
from serving.engines.local.text_model import TextModel


class ChunkedPrefill:
    """The prefill of one batch, chunk by chunk."""

    def __init__(
        self,
        model: TextModel,
        inputs: PrefillInputs,
        features: torch.Tensor,
        sequences: Sequence[Sequence[TokenSequence]],
        described: Sequence[int],
        chunk: int,
        unfamiliarity: Sequence[float] = (),
    ) -> None:
        """Set up the prefill. No token is read yet.

        Args:
            model: its adapter applies to the prompts but not to the descriptions.
            inputs: the prompts first, then the descriptions.
            features: image features in the order of the inputs, of shape (image tokens, width).
            sequences: the texts to generate for each photo.
            described: the indices of the photos that need a description.
            chunk: the most tokens to read at once, over all inputs together.
            unfamiliarity: each photo's out-of-distribution score; empty: the model has no reference.
        """
        self.unfamiliarity = unfamiliarity
        self._model = model
        self._inputs = inputs
        self._features = features.to(model.dtype)
        self._sequences = sequences
        self._described = described
        self._columns = max(1, chunk // len(inputs.ids))
        self._cache = model.new_cache(len(inputs.ids))
        tokens = inputs.ids.shape[1]
        self._padding = tokens - inputs.mask.sum(1)
        self._positions = (torch.arange(tokens, device=inputs.ids.device) - self._padding[:, None]).clamp(min=0)
        self._is_image = inputs.is_image
        self._feature_index = self._is_image.flatten().cumsum(0).view_as(self._is_image) - 1
        self._done = 0

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def step(self) -> PrefilledSequences | None:
        """Read the next chunk. Return the sequences, ready to join a batch, after the last chunk; until then None."""
        ids = self._inputs.ids
        chunk = slice(self._done, min(self._done + self._columns, ids.shape[1]))
        self._done = chunk.stop
        embeddings = self._model.embed(ids[:, chunk])
        is_image = self._is_image[:, chunk]
        embeddings[is_image] = self._features[self._feature_index[:, chunk][is_image]]
        photos = len(self._sequences)
        logits = self._model.forward(
            embeddings,
            self._positions[:, chunk],
            self._model.attention_bias(self._padding, chunk.stop, chunk.stop - chunk.start),
            self._cache,
            self._model.adapted([number < photos for number in range(len(ids))]),
        )
        return None if self._done < ids.shape[1] else self._finish(logits)

    def _finish(self, logits: torch.Tensor) -> PrefilledSequences:
        """Copy each input's row to all sequences that continue from it."""
        captions = [
            (number, sequence)
            for number, of_photo in enumerate(self._sequences)
            for sequence in of_photo
            if not sequence.base_only
        ]
        descriptions = [
            (len(self._sequences) + place, sequence)
            for place, number in enumerate(self._described)
            for sequence in self._sequences[number]
            if sequence.base_only
        ]
        pairs = [*captions, *descriptions]
        order = [row for row, _ in pairs]
        rows = torch.tensor(order, device=logits.device)
        if order != list(range(len(logits))):
            self._cache.repeat(rows)
        return PrefilledSequences(
            [sequence for _, sequence in pairs],
            self._cache,
            self._padding[rows],
            logits[rows],
            int(self._inputs.mask.sum()),
        )
