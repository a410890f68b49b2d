"""Vision-language models of the LLaVA kind: loading and generation, the same way in training, evaluation and serving.

Everything goes through ``AutoModelForImageTextToText``, ``AutoProcessor`` and the family's own chat template, so
the built-in demo base, LLaVA 1.5, LLaVA 1.6 and SmolVLM take the same path.
"""

import hashlib
import importlib.util
import sys
import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snap2caption.errors import UserError
from snap2caption.names import is_base_name
from snap2caption.registry.adapters import check_weights
from snap2caption.text.incomplete_characters import complete

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image


SEEING = ("vision_tower", "multi_modal_projector", "vision_model", "connector")
"""The names of the modules before the language model: LLaVA's tower and projector, and SmolVLM's."""


_PROCESSOR = "processor_config.json"

TEXT_INPUTS = frozenset({"input_ids", "attention_mask", "labels", "token_type_ids"})
"""The inputs of a batch that are not image data."""


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


def image_features(model: Any, batch: "Mapping[str, torch.Tensor]") -> "torch.Tensor":
    """Return what the language model sees of the pictures in *batch*: (image tokens, width), picture after picture."""
    import torch

    pictures = {name: value.to(model.device) for name, value in batch.items() if name not in TEXT_INPUTS}
    pictures["pixel_values"] = pictures["pixel_values"].to(model.dtype)
    features = model.get_image_features(**pictures, return_dict=True).pooler_output
    return torch.cat([picture.flatten(0, -2) for picture in features])


def with_adapter(base: VisionLanguageModel, adapter: Path, models_dir: Path) -> VisionLanguageModel:
    """Return *base* with the LoRA adapter in the folder *adapter*, and the processor saved with it.

    The weights are shared, and *base* is not changed.

    Raises:
        UserError: the adapter is damaged or does not fit.
    """
    from itertools import chain

    weights = chain(base.model.parameters(), base.model.buffers())
    twin = deepcopy(base.model, {id(weight): weight for weight in weights})
    model = _with_adapter(twin, adapter)
    model.eval()
    processor = load_processor(base.base, models_dir, revision=base.revision, adapter=adapter)
    return replace(base, model=model, processor=processor)


def resolve_base(base: str, models_dir: Path) -> str:
    """Return the place that the base model *base* is loaded from: its folder under *models_dir*, or else its name on
    the hub.

    Raises:
        UserError: *base* is not a valid name.
    """
    if not is_base_name(base):
        raise UserError(
            f"{base!r} is not a base model's name; give the name of a folder in {models_dir}, "
            "or owner/name on the model hub."
        )
    folder = models_dir / base
    return str(folder) if (folder / "config.json").is_file() else base


def load(
    base: str,
    models_dir: Path,
    *,
    adapter: Path | None = None,
    revision: str | None = None,
    dtype: str = "float32",
    load_in_4bit: bool = False,
    split_images: bool = True,
) -> VisionLanguageModel:
    """Load a base model with its processor and, if given, a LoRA adapter on top, for inference.

    Args:
        base: name of the base, in *models_dir* or on the model hub.
        models_dir: folder of base models on disk.
        adapter: folder of a PEFT adapter. The processor saved with it is used.
        revision: the base's revision that the adapter was trained on. Another one is refused.
        dtype: ``float32``, ``bfloat16`` or ``float16``.
        load_in_4bit: keep the language model's weights in 4 bits, and compute in *dtype*.
        split_images: False keeps the processor from splitting pictures into tiles, which some families do by
            default.

    Raises:
        UserError: the base is neither on disk nor on the hub, or its revision is not *revision*; the adapter is
            damaged; the processor can't work without tiles; or bitsandbytes is not installed.
    """
    import torch
    from transformers import AutoModelForImageTextToText
    from transformers.utils.logging import disable_progress_bar

    where = resolve_base(base, models_dir)
    local = where != base
    found = local_revision(Path(where)) if local else revision or "main"
    if revision is not None and found != revision:
        raise _another_revision(base, found, revision)
    if not sys.stderr.isatty():
        disable_progress_bar()
    options: dict[str, Any] = {"revision": None if local else found}
    processor = load_processor(base, models_dir, revision=found, adapter=adapter, split_images=split_images)
    if load_in_4bit:
        options["quantization_config"] = _four_bits(getattr(torch, dtype))
    try:
        # Never read a pickle or run a model's own code, whatever the base is.
        model = AutoModelForImageTextToText.from_pretrained(
            where, dtype=getattr(torch, dtype), use_safetensors=True, trust_remote_code=False, **options
        )
    except OSError as error:
        raise _missing(base, models_dir, error) from error
    if not local:
        found = getattr(model.config, "_commit_hash", None) or found
    # A 4-bit model is on the GPU already.
    if torch.cuda.is_available() and not load_in_4bit:
        model = model.to("cuda")
    if adapter is not None:
        model = _with_adapter(model, adapter)
    model.eval()
    return VisionLanguageModel(model=model, processor=processor, base=base, revision=found)


def load_processor(
    base: str, models_dir: Path, *, revision: str, adapter: Path | None = None, split_images: bool = True
) -> Any:
    """Load the processor of a base model, or the one saved with *adapter*. The other arguments are those of `load`."""
    from transformers import AutoProcessor

    where = resolve_base(base, models_dir)
    # Adapters saved by other tools lack a processor.
    if adapter is not None and (adapter / _PROCESSOR).is_file():
        where = str(adapter)
    try:
        processor = AutoProcessor.from_pretrained(
            where, revision=revision if where == base else None, trust_remote_code=False
        )
    except OSError as error:
        raise _missing(base, models_dir, error) from error
    if not split_images:
        images = processor.image_processor
        if not hasattr(images, "do_image_splitting"):
            raise UserError(
                f"The processor of {base} has no setting for pieces of pictures; "
                "leave model.do_image_splitting out of the recipe."
            )
        images.do_image_splitting = False
        # Resize directly to the vision tower's input size, not first to the size that tiles are cut from.
        images.size = images.max_image_size
    return processor


def check_4bit() -> None:
    """Check that 4-bit weights are available here.

    Raises:
        UserError: bitsandbytes is not installed.
    """
    if importlib.util.find_spec("bitsandbytes") is None:
        raise UserError("model.load_in_4bit needs bitsandbytes; install it with pip install 'snap2caption[qlora]'.")


def _four_bits(dtype: "torch.dtype") -> Any:
    from transformers import BitsAndBytesConfig

    check_4bit()
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        # The vision modules are not quantized: they are a twentieth of a 7B model. Neither is the output layer, by
        # default.
        llm_int8_skip_modules=["lm_head", *(f".*{name}" for name in SEEING)],
    )


def _with_adapter(model: Any, adapter: Path) -> Any:
    from peft import PeftModel
    from safetensors import SafetensorError

    quieten_peft()
    check_weights(adapter)
    try:
        return PeftModel.from_pretrained(model, str(adapter))
    # PEFT raises these for a missing or invalid configuration, missing or truncated weights, and weights of other
    # shapes.
    except (ValueError, TypeError, KeyError, OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"The adapter in {adapter} does not fit the base model or is damaged ({reason}); train it again."
        ) from error


def load_config(base: str, models_dir: Path, revision: str | None = None) -> Any:
    """Load a base's configuration without its weights; from the hub at *revision*, or from its main branch.

    Raises:
        UserError: the base is neither on disk nor on the hub.
    """
    from transformers import AutoConfig

    where = resolve_base(base, models_dir)
    try:
        return AutoConfig.from_pretrained(where, revision=revision if where == base else None, trust_remote_code=False)
    except OSError as error:
        raise _missing(base, models_dir, error) from error


def find_revision(base: str, models_dir: Path, wanted: str | None = None) -> str:
    """Return the revision that `load` would load: a digest of the weights for a base on disk, a commit for one on the
    hub.

    Raises:
        UserError: the base is neither on disk nor on the hub, or the hub lacks the revision *wanted*.
    """
    where = resolve_base(base, models_dir)
    if where == base:
        return str(getattr(load_config(base, models_dir, wanted), "_commit_hash", None) or wanted or "main")
    found = local_revision(Path(where))
    if wanted not in {None, found}:
        raise _another_revision(base, found, wanted)
    return found


def _another_revision(base: str, found: str, wanted: str | None) -> UserError:
    return UserError(
        f"The base model {base} on disk has revision {found}, but {wanted} is asked for, "
        "as the recipe or the adapter's training has it; restore that base model."
    )


def _missing(base: str, models_dir: Path, error: OSError) -> UserError:
    reason = str(error).splitlines()[0]
    return UserError(f"The base model {base} is neither in {models_dir} nor on the model hub ({reason}).")


def local_revision(folder: Path) -> str:
    """Return the revision of a base model on disk: the first 12 digits of the SHA-256 over its weight files."""
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:12]


def quieten_peft() -> None:
    """Suppress a warning that PEFT causes by importing an old name from transformers.

    Our users can't do anything about it.
    """
    warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
