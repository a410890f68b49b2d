"""Model loading, for inference and training: base, processor and LoRA adapter."""

import importlib.util
import sys
import warnings
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snap2caption.errors import UserError
from snap2caption.registry.adapters import check_weights
from snap2caption.vlm.bases import another_revision, hub_options, local_revision, missing_base, resolve_base
from snap2caption.vlm.model import SEEING, VisionLanguageModel

if TYPE_CHECKING:
    import torch

_PROCESSOR = "processor_config.json"


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
        dtype: ``float32``, ``float64``, ``bfloat16`` or ``float16``.
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
        raise another_revision(base, found, revision)
    if not sys.stderr.isatty():
        disable_progress_bar()
    options = hub_options(not local, found)
    processor = load_processor(base, models_dir, revision=found, adapter=adapter, split_images=split_images)
    if load_in_4bit:
        options["quantization_config"] = _four_bits(getattr(torch, dtype))
    try:
        # Never read a pickle or run a model's own code, whatever the base is.
        model = AutoModelForImageTextToText.from_pretrained(
            where, dtype=getattr(torch, dtype), use_safetensors=True, trust_remote_code=False, **options
        )
    except OSError as error:
        raise missing_base(base, models_dir, error) from error
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
            where, trust_remote_code=False, **hub_options(where == base, revision)
        )
    except OSError as error:
        raise missing_base(base, models_dir, error) from error
    if not split_images:
        images = processor.image_processor
        if not hasattr(images, "do_image_splitting"):
            raise UserError(
                f"The processor of {base} can't turn off image splitting; "
                "leave model.do_image_splitting out of the recipe."
            )
        images.do_image_splitting = False
        # Resize directly to the vision tower's input size, not first to the size that tiles are cut from.
        images.size = images.max_image_size
    return processor


def splits_images(processor: Any) -> bool:
    """Whether *processor* splits a large picture into tiles and can do without (`load`, ``split_images``)."""
    return bool(getattr(processor.image_processor, "do_image_splitting", False))


def check_4bit() -> None:
    """Check that 4-bit weights are available here.

    Raises:
        UserError: bitsandbytes is not installed.
    """
    if importlib.util.find_spec("bitsandbytes") is None:
        raise UserError(
            "model.load_in_4bit needs bitsandbytes; install snap2caption with its extra `qlora` (docs/installation.md)."
        )


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


def quieten_peft() -> None:
    """Suppress a warning that PEFT causes by importing an old name from transformers.

    Our users can't do anything about it.
    """
    warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
