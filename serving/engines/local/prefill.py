"""What the model reads of a batch: each photo prepared once, for the caption's prompt and for the description's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.utils.rnn import pad_sequence

from snap2caption.post import DESCRIBE_PROMPT
from snap2caption.vlm import TEXT_INPUTS, VisionLanguageModel

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class PrefillInputs:
    """The inputs of one batch: prompts first, then a description for each photo that is to be described."""

    ids: torch.Tensor
    """Tokens of shape (sequences, tokens), padded on the left."""
    mask: torch.Tensor
    """1 where there is a token and 0 where there is padding, of the same shape."""
    pictures: dict[str, torch.Tensor]
    """What the family's vision tower wants, of each photo once."""
    image_tokens: list[int]
    """How many tokens stand for each photo."""


def read(
    vlm: VisionLanguageModel, images: "Sequence[Image]", prompts: Sequence[str], described: Sequence[int]
) -> PrefillInputs:
    """Prepare photos and prompts.

    Args:
        vlm: the model that will read.
        images: RGB, any size.
        prompts: one an image.
        described: the numbers of the images that are to be described as well.
    """
    inputs = vlm.inputs(images, prompts)
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    image = vlm.model.config.image_token_id
    counts = (ids == image).sum(1).tolist()
    if described:
        ids, mask = _with_descriptions(vlm, ids, mask, prompts, described)
    pictures = {name: value for name, value in inputs.items() if name not in TEXT_INPUTS}
    return PrefillInputs(ids, mask, pictures, counts)


def _with_descriptions(
    vlm: VisionLanguageModel, ids: torch.Tensor, mask: torch.Tensor, prompts: Sequence[str], described: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Add the description's prompt with the tokens that the processor has put for these photos, which depend on the photo alone."""
    tokenizer: Any = vlm.processor.tokenizer
    image = vlm.model.config.image_token_id
    describing, *plain = tokenizer([vlm.chat(DESCRIBE_PROMPT), *(vlm.chat(prompts[number]) for number in described)])[
        "input_ids"
    ]
    at = describing.index(image)
    rows = [row[seen.bool()].tolist() for row, seen in zip(ids, mask, strict=True)]
    for number, unread in zip(described, plain, strict=True):
        before = unread.index(image)
        after = len(unread) - before - 1
        picture = rows[number][before : len(rows[number]) - after]
        rows.append([*describing[:at], *picture, *describing[at + 1 :]])
    return _padded(rows, tokenizer.pad_token_id).to(ids.device), _padded([[1] * len(row) for row in rows], 0).to(
        ids.device
    )


def _padded(rows: list[list[int]], value: int) -> torch.Tensor:
    tensors = [torch.tensor(row) for row in rows]
    return pad_sequence(tensors, batch_first=True, padding_value=value, padding_side="left")
