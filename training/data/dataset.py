"""What the Trainer reads: samples, or what the vision tower made of them once, shared out over the processes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from snap2caption.datasets.shards import Sample
from snap2caption.vlm import VisionLanguageModel
from training.data.collator import IGNORED, Batch, EncodedCollator, EncodedSample, SampleCollator
from training.data.samplers import share
from training.data.samples import chunks
from training.data.vision_features import cacheable, encode
from training.distributed import Ranks
from training.recipes.sections import TrainingSettings


@dataclass(frozen=True, slots=True)
class TrainingDataset:
    """Rows to learn from and to measure on, and how batches are made of them."""

    train: Any
    validation: Sequence[Any]
    collate_some: Callable[..., Batch]

    def collate(self, rows: Sequence[Any]) -> Batch:
        """Return the batch of *rows*. Of none, it is one whose answer does not count: its process takes part in a step that has nothing for it."""
        if rows:
            return self.collate_some(rows)
        batch = self.collate_some(self.validation[:1])
        return batch | {"labels": batch["labels"].new_full(batch["labels"].shape, IGNORED)}


def look_once(
    vlm: VisionLanguageModel,
    collate: SampleCollator,
    train: Sequence[Sample],
    validation: Sequence[Sample],
    settings: TrainingSettings,
    ranks: Ranks,
) -> TrainingDataset:
    """Return the samples with their pictures' features if those can be kept, else the samples as they are.

    Each process looks at its share of the pictures, and gets the others' features from the others.
    """
    if not cacheable(vlm, collate, train, settings.feature_cache_gib):
        return TrainingDataset(train, validation, collate)

    def looked_at(samples: Sequence[Sample]) -> list[EncodedSample]:
        # Whole batches: so a picture's features don't depend on the number of processes.
        batches = share(list(chunks(samples, settings.global_micro_batch_size)), ranks)
        mine = encode(vlm, collate, [sample for batch in batches for sample in batch], settings.global_micro_batch_size)
        return [row for rows in ranks.gather(mine) for row in rows]

    return TrainingDataset(
        looked_at(train), looked_at(validation), EncodedCollator(vlm.processor.tokenizer.pad_token_id)
    )
