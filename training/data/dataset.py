"""Training dataset for the Trainer: samples, or their cached vision features, divided among the processes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from snap2caption.datasets.shards import Sample
from snap2caption.vlm import VisionLanguageModel
from training.data.collator import IGNORED, Batch, EncodedCollator, EncodedSample, SampleCollator
from training.data.samplers import share
from training.data.samples import chunks
from training.data.vision_features import encode
from training.distributed import Ranks
from training.recipes.sections import TrainingSettings


@dataclass(frozen=True, slots=True)
class TrainingDataset:
    """Rows for training and validation, and the function that collates them."""

    train: Any
    validation: Sequence[Any]
    collate_rows: Callable[..., Batch]

    def collate(self, rows: Sequence[Any]) -> Batch:
        """Return the batch of *rows*.

        Without rows, return a batch whose labels are all ignored, so that this process still takes part in a step
        that has no samples for it.
        """
        if rows:
            return self.collate_rows(rows)
        batch = self.collate_rows(self.validation[:1])
        return batch | {"labels": batch["labels"].new_full(batch["labels"].shape, IGNORED)}


def encode_dataset(
    vlm: VisionLanguageModel,
    collate: SampleCollator,
    train: Sequence[Sample],
    validation: Sequence[Sample],
    settings: TrainingSettings,
    ranks: Ranks,
) -> TrainingDataset:
    """Return the samples with cached vision features.

    Each process encodes its share of the images and receives the features of the others.
    """

    def encode_share(samples: Sequence[Sample]) -> list[EncodedSample]:
        # Share whole batches, so that an image's features do not depend on the number of processes.
        batches = share(list(chunks(samples, settings.global_micro_batch_size)), ranks)
        mine = encode(vlm, collate, [sample for batch in batches for sample in batch], settings.global_micro_batch_size)
        return [row for rows in ranks.all_gather(mine) for row in rows]

    return TrainingDataset(
        encode_share(train), encode_share(validation), EncodedCollator(vlm.processor.tokenizer.pad_token_id)
    )
