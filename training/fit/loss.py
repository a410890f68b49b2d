"""Cross-entropy loss over the answer tokens."""

from collections.abc import Iterable
from typing import Any

import torch
from torch.nn import functional

from training.data.collator import IGNORED, Batch
from training.data.vision_features import with_features


def answer_loss(model: Any, batch: Batch) -> tuple[torch.Tensor, int]:
    """Return the cross-entropy summed over the answer tokens of a right-padded *batch*, in nats, and their number.

    Logits are computed only from the first answer token on: the prompt with its image tokens is most of a sequence,
    and the vocabulary is large.
    """
    batch = with_features(batch)
    labels = batch["labels"]
    counts = (labels != IGNORED).any(dim=0)
    # Without any answer token, use the last position, whose ignored label adds nothing.
    counts[-1] = True
    first = max(1, int(counts.nonzero()[0]))
    targets = labels[:, first:]
    # The token at `first` is predicted at the position before it.
    # Attention is causal and padding comes last, so no mask is needed. Without one, attention can use kernels that
    # skip future positions.
    inputs = {name: value for name, value in batch.items() if name not in {"labels", "attention_mask"}}
    # A KV cache would copy every layer's keys and values.
    # Positions as a tensor are copied. As a range they would be a view, of which each sample is a product of its own
    # with a copy of the output layer's weight.
    positions = torch.arange(first - 1, labels.shape[1] - 1, device=labels.device)
    logits = model(**inputs, logits_to_keep=positions, use_cache=False).logits
    loss = functional.cross_entropy(
        logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED, reduction="sum"
    )
    return loss, int((targets != IGNORED).sum())


def summed_answer_loss(model: Any, batches: Iterable[Batch]) -> tuple[float, int]:
    """Return the cross-entropy summed over the answer tokens of *batches*, in nats, and their number.

    Dropout is off.
    """
    training = model.training
    model.eval()
    total, tokens = 0.0, 0
    with torch.no_grad():
        for batch in batches:
            loss, count = answer_loss(model, {name: value.to(model.device) for name, value in batch.items()})
            total, tokens = total + loss.item(), tokens + count
    model.train(training)
    return total, tokens


def mean_answer_loss(model: Any, batches: Iterable[Batch]) -> float:
    """Return the mean cross-entropy per answer token over all *batches*, in nats; dropout is off."""
    total, tokens = summed_answer_loss(model, batches)
    return total / tokens
