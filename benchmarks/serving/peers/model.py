"""Model on disk for all engines: SmolVLM-256M's shape in bfloat16, as it is published, and a LoRA adapter."""

import json
from pathlib import Path

from benchmarks.serving.gpu import step_bytes
from benchmarks.serving.models import adapted, readable
from benchmarks.training.shapes import build

BASE = "smolvlm-256m"
ADAPTER = "adapter"


def write_model(folder: Path) -> int:
    """Write the base and an adapter that adds nothing into *folder*, with the same random weights each time.

    Returns:
        The bytes of weights that a step of decoding reads.
    """
    vlm = readable(build("smolvlm-256m-unsplit", "bfloat16"))
    vlm.model.save_pretrained(folder / BASE)
    vlm.processor.save_pretrained(folder / BASE)
    _split_processor(folder / BASE)
    read = step_bytes(vlm.model)
    adapted(vlm).model.save_pretrained(folder / ADAPTER)
    return read


def _split_processor(base: Path) -> None:
    """Write the image processor's settings on their own too: transformers 4, which OpenVINO's exporter needs, looks
    for them there.
    """
    saved = json.loads((base / "processor_config.json").read_text())
    images = saved["image_processor"] | {"image_processor_type": "Idefics3ImageProcessor"}
    (base / "preprocessor_config.json").write_text(json.dumps(images))
