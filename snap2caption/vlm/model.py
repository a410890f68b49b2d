"""Vision-language model with its processor: prompts, inputs and generation."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snap2caption.errors import UserError
from snap2caption.text.incomplete_characters import complete

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

SEEING = ("vision_tower", "multi_modal_projector", "vision_model", "connector")
"""The names of the modules before the language model: LLaVA's tower and projector, and SmolVLM's."""

TEXT_INPUTS = frozenset({"input_ids", "attention_mask", "labels", "token_type_ids"})
"""The inputs of a batch that are not image data."""


def is_vision(path: str) -> bool:
    """Return whether the module or weight at *path* comes before the language model."""
    return not set(SEEING).isdisjoint(path.split("."))


@dataclass(frozen=True, slots=True)
class Decoding:
    """Decoding parameters: at most ``max_new_tokens``; greedy at temperature 0, else sampled with ``seed``.

    A token is sampled from the smallest set with total probability ``top_p``, and only if it is at least ``min_p``
    times as likely as the likeliest (Nguyen et al. 2024): where the model is unsure, the nucleus alone holds
    hundreds of unsuitable tokens.
    """

    max_new_tokens: int = 96
    temperature: float = 0.0
    top_p: float = 0.95
    min_p: float = 0.1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Generated:
    """The model's output for one photo, and its number of tokens."""

    raw: str
    """The decoded output, with U+FFFD for invalid bytes."""
    tokens: int

    @property
    def text(self) -> str:
        """The part of the output that can be shown."""
        return complete(self.raw)


@dataclass(slots=True)
class VisionLanguageModel:
    """A model with its processor, and the name and revision of the base, which an adapter must match."""

    model: Any
    processor: Any
    base: str
    revision: str

    @property
    def context(self) -> int:
        """The maximum number of tokens in a sequence: image, prompt and output."""
        positions = self.model.config.get_text_config().max_position_embeddings
        # A tokenizer without a limit reports an absurdly large number.
        return int(min(positions, self.processor.tokenizer.model_max_length))

    def image_tokens(self, width: int, height: int) -> int:
        """Return the number of tokens of a picture of *width* times *height* pixels, including separators between its
        tiles.
        """
        # vLLM calls this method of processors, too. The picture is not needed for it.
        counted = self.processor._get_num_multimodal_tokens(image_sizes=[(height, width)])
        return int(counted["num_image_tokens"][0])

    def check_room(self, inputs: "Mapping[str, torch.Tensor]", max_new_tokens: int) -> None:
        """Check that *max_new_tokens* tokens fit after *inputs*.

        Raises:
            UserError: together they exceed the model's context.
        """
        read = inputs["input_ids"].shape[1]
        if read + max_new_tokens > self.context:
            raise UserError(
                f"{self.base} has a context of {self.context} tokens, but photo and prompt take {read} and the answer "
                f"may take {max_new_tokens}; lower max_new_tokens to {max(0, self.context - read)} at most."
            )

    def plain(self, text: str) -> str:
        """Return *text* without the tokenizer's special tokens: an `<image>` that a person writes is not a picture."""
        for token in self.processor.tokenizer.all_special_tokens:
            text = text.replace(token, f"{token[0]} {token[1:]}")
        return text

    def chat(self, prompt: str) -> str:
        """Return *prompt*, preceded by one image, in the family's chat template, up to where the answer starts."""
        message = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": self.plain(prompt)}]}
        return str(self.processor.apply_chat_template([message], tokenize=False, add_generation_prompt=True))

    def inputs(self, images: "Sequence[Image]", prompts: Sequence[str]) -> "dict[str, torch.Tensor]":
        """Return the model's inputs for a batch, padded on the left, on the model's device.

        Args:
            images: RGB, any size; one per prompt.
            prompts: instructions, not yet in the chat template.

        Returns:
            ``input_ids`` and ``attention_mask`` of shape (batch, tokens), ``pixel_values`` and what else the
            family needs.
        """
        import torch

        self.processor.tokenizer.padding_side = "left"
        batch = self.processor(
            images=list(images), text=[self.chat(prompt) for prompt in prompts], return_tensors="pt", padding=True
        )
        device, dtype = self.model.device, self.model.dtype
        return {
            name: value.to(device=device, dtype=dtype) if torch.is_floating_point(value) else value.to(device)
            for name, value in batch.items()
        }

    def generate(
        self, images: "Sequence[Image]", prompts: Sequence[str], decoding: Decoding, *, without_adapter: bool = False
    ) -> list[Generated]:
        """Generate one answer per photo, as one batch.

        Args:
            images: RGB, any size.
            prompts: one per image.
            decoding: the decoding parameters.
            without_adapter: let the untouched base answer.

        Raises:
            UserError: prompt and answer together exceed the model's context.
        """
        import torch

        inputs = self.inputs(images, prompts)
        self.check_room(inputs, decoding.max_new_tokens)
        sampling: dict[str, Any] = {"do_sample": False}
        if decoding.temperature > 0:
            torch.manual_seed(decoding.seed)
            # The default of top_k in transformers is 50.
            sampling = {
                "do_sample": True,
                "temperature": decoding.temperature,
                "top_k": 0,
                "top_p": decoding.top_p,
                "min_p": decoding.min_p,
            }
        bare = (
            self.model.disable_adapter()
            if without_adapter and hasattr(self.model, "disable_adapter")
            else nullcontext()
        )
        with torch.inference_mode(), bare:
            sequences = self.model.generate(**inputs, max_new_tokens=decoding.max_new_tokens, **sampling)
        answers = sequences[:, inputs["input_ids"].shape[1] :]
        special = set(self.processor.tokenizer.all_special_ids)
        texts = self.processor.batch_decode(answers, skip_special_tokens=True)
        return [
            Generated(text.strip(), sum(token not in special for token in answer))
            for text, answer in zip(texts, answers.tolist(), strict=True)
        ]

    def save_adapter(self, folder: Path) -> None:
        """Save the adapter in *folder*, with the processor that it was trained with, so that photos and prompts are
        prepared alike.
        """
        self.model.save_pretrained(folder)
        self.processor.save_pretrained(folder)


@dataclass(frozen=True, slots=True)
class VisionFeatures:
    """Features of the pictures in a batch."""

    tokens: "torch.Tensor"
    """What the language model sees: (image tokens, width), picture after picture."""
    patches: "torch.Tensor"
    """The vision tower's last layer, without a class token: (pictures or tiles, patches, width)."""


def image_features(model: Any, batch: "Mapping[str, torch.Tensor]") -> "torch.Tensor":
    """Return what the language model sees of the pictures in *batch*: (image tokens, width), picture after picture."""
    return vision_features(model, batch).tokens


def vision_features(model: Any, batch: "Mapping[str, torch.Tensor]") -> VisionFeatures:
    """Return the features of the pictures in *batch*."""
    import torch

    pictures = {name: value.to(model.device) for name, value in batch.items() if name not in TEXT_INPUTS}
    pictures["pixel_values"] = pictures["pixel_values"].to(model.dtype)
    encoded = model.get_image_features(**pictures, return_dict=True)
    has_class_token = getattr(model.config, "vision_feature_select_strategy", None) == "default"
    return VisionFeatures(
        tokens=torch.cat([picture.flatten(0, -2) for picture in encoded.pooler_output]),
        patches=encoded.last_hidden_state[:, 1:] if has_class_token else encoded.last_hidden_state,
    )
