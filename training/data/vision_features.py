"""Cached vision features: a frozen vision tower and projector give the same features in every epoch."""

import inspect
import io
import logging
from collections.abc import Sequence
from dataclasses import replace

import torch
from transformers.modeling_outputs import BaseModelOutputWithPooling

from snap2caption.command_line.console import progress_bar
from snap2caption.datasets.shards import Sample
from snap2caption.errors import UserError
from snap2caption.images import decode
from snap2caption.vlm import VisionLanguageModel, image_features
from training.data.collator import Batch, EncodedSample, SampleCollator
from training.data.samples import chunks

logger = logging.getLogger(__name__)

GIB = 1 << 30


def with_features(batch: Batch) -> Batch:
    """Return the model's arguments for *batch*, with precomputed features in place of the image inputs."""
    if "image_features" not in batch:
        return batch
    features = batch["image_features"]
    rest = {name: value for name, value in batch.items() if name != "image_features"}
    return rest | {"mm_encoder_outputs": {"image": BaseModelOutputWithPooling(pooler_output=[features])}}


def check_image_tokens(
    vlm: VisionLanguageModel, collate: SampleCollator, sample: Sample, *, as_it_is: bool = True
) -> None:
    """Check that the processor writes as many image tokens as the model has image features, for several image shapes.

    It tries *sample*'s photo as it is, and resized to wide and tall shapes. The model runs only on shapes for which
    the processor writes a new number of tokens, and not on the first one unless *as_it_is*.

    Raises:
        UserError: processor and model disagree, so image features would be misplaced or missing.
    """
    tried = set()
    for shape in (None, (600, 200), (200, 600), (301, 173)):
        batch = collate([sample if shape is None else _reshaped(sample, shape)])
        written = int((batch["input_ids"] == vlm.model.config.image_token_id).sum())
        if written in tried:
            continue
        tried.add(written)
        if shape is not None or as_it_is:
            with torch.no_grad():
                _check_count(vlm, written, len(image_features(vlm.model, batch)))


def _check_count(vlm: VisionLanguageModel, written: int, seen: int) -> None:
    if written != seen:
        raise UserError(
            f"The processor of {vlm.base} writes {written} image tokens, but the model has {seen}; correct its "
            "processor_config.json (LLaVA: patch_size, vision_feature_select_strategy, "
            "num_additional_image_tokens; SmolVLM: image_seq_len)."
        )


def _reshaped(sample: Sample, size: tuple[int, int]) -> Sample:
    stream = io.BytesIO()
    decode(sample.photo()).resize(size).save(stream, "JPEG")
    return replace(sample, content=stream.getvalue())


def cacheable(vlm: VisionLanguageModel, collate: SampleCollator, samples: Sequence[Sample], limit_gib: float) -> bool:
    """Return whether the vision features of *samples* can be cached.

    They can if the model family accepts features, everything before the language model is frozen, and the features
    fit into *limit_gib* GiB.
    """
    base = vlm.model.get_base_model()
    if not limit_gib or "mm_encoder_outputs" not in inspect.signature(base.forward).parameters:
        return False
    reading = {id(weight) for weight in base.get_decoder().parameters()}
    if any(weight.requires_grad and id(weight) not in reading for weight in base.parameters()):
        return False
    # Photos of different shapes may have different numbers of tokens: estimate them from about 16 samples.
    some = samples[:: max(1, len(samples) // 16)]
    tokens = sum(int((collate([sample])["input_ids"] == vlm.model.config.image_token_id).sum()) for sample in some)
    embedding = base.get_input_embeddings().weight[0]
    size = tokens / len(some) * len(samples) * embedding.numel() * embedding.element_size()
    if size > limit_gib * GIB:
        logger.info(
            "vision features would take %.1f GiB, so they are computed in each epoch; to cache them, raise "
            "training.feature_cache_gib",
            size / GIB,
        )
        return False
    return True


def encode(
    vlm: VisionLanguageModel, collate: SampleCollator, samples: Sequence[Sample], batch_size: int
) -> list[EncodedSample]:
    """Return *samples* with the features of their images.

    Raises:
        UserError: processor and model disagree about the number of image tokens.
    """
    token = vlm.model.config.image_token_id
    encoded: list[EncodedSample] = []
    with progress_bar() as progress, torch.no_grad():
        task = progress.add_task("encoding photos", total=len(samples))
        for chunk in chunks(samples, batch_size):
            batch = collate(chunk)
            features = image_features(vlm.model, batch).cpu()
            counts = (batch["input_ids"] == token).sum(dim=1).tolist()
            _check_count(vlm, sum(counts), len(features))
            lengths = batch["attention_mask"].sum(dim=1).tolist()
            for row, (length, picture) in enumerate(zip(lengths, features.split(counts), strict=True)):
                # Clone, because a view would keep the whole padded batch in memory.
                encoded.append(
                    EncodedSample(
                        batch["input_ids"][row, :length].clone(), batch["labels"][row, :length].clone(), picture.clone()
                    )
                )
            progress.update(task, advance=len(chunk))
    return encoded
