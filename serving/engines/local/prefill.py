"""Prefill inputs: each photo is preprocessed once, for the caption's prompt and for the description's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.utils.rnn import pad_sequence

from snap2caption.vlm import TEXT_INPUTS, VisionLanguageModel

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class PrefillInputs:
    """The model inputs of one batch: the prompts first, then the description prompts."""

    ids: torch.Tensor
    """Token ids of shape (rows, tokens), padded on the left."""
    mask: torch.Tensor
    """Attention mask of the same shape: 1 for a token, 0 for padding."""
    vision_inputs: dict[str, torch.Tensor]
    """The inputs of the model's vision tower, once per photo."""
    is_image: torch.Tensor
    """Whether each token stands for a part of a photo: shape (rows, tokens)."""
    image_tokens: list[int]
    """The number of image tokens of each photo."""


def prepare_inputs(
    vlm: VisionLanguageModel, images: "Sequence[Image]", prompts: Sequence[str], descriptions: Mapping[int, str]
) -> PrefillInputs:
    """Return the model inputs for photos and their prompts.

    Args:
        vlm: the model.
        images: RGB, any size.
        prompts: one per image.
        descriptions: the description prompts of the images that need one, by their indices.
    """
    inputs = vlm.inputs(images, prompts)
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    image_token = vlm.model.config.image_token_id
    image_tokens = (ids == image_token).sum(1).tolist()
    if descriptions:
        ids, mask = _add_descriptions(vlm, ids, mask, prompts, descriptions)
    vision_inputs = {name: value for name, value in inputs.items() if name not in TEXT_INPUTS}
    return PrefillInputs(ids, mask, vision_inputs, ids == image_token, image_tokens)


def _add_descriptions(
    vlm: VisionLanguageModel,
    ids: torch.Tensor,
    mask: torch.Tensor,
    prompts: Sequence[str],
    descriptions: Mapping[int, str],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Append a row with the description prompt for each photo in *descriptions*.

    The rows reuse the image tokens that the processor has inserted into the photo's own prompt. These depend on the
    photo alone.
    """
    tokenizer: Any = vlm.processor.tokenizer
    image_token = vlm.model.config.image_token_id
    described, unexpanded = (
        tokenizer([vlm.chat(prompt) for prompt in texts])["input_ids"]
        for texts in (descriptions.values(), [prompts[number] for number in descriptions])
    )
    rows = [row[attended.bool()].tolist() for row, attended in zip(ids, mask, strict=True)]
    for number, description, prompt in zip(descriptions, described, unexpanded, strict=True):
        before = prompt.index(image_token)
        after = len(prompt) - before - 1
        image = rows[number][before : len(rows[number]) - after]
        at = description.index(image_token)
        rows.append([*description[:at], *image, *description[at + 1 :]])
    all_ids = _pad_left(rows, tokenizer.pad_token_id).to(ids.device)
    return all_ids, _pad_left([[1] * len(row) for row in rows], 0).to(ids.device)


def _pad_left(rows: list[list[int]], value: int) -> torch.Tensor:
    tensors = [torch.tensor(row) for row in rows]
    return pad_sequence(tensors, batch_first=True, padding_value=value, padding_side="left")
