"""Image embeddings: what a picture shows, as 256 bits, by a model in the models folder (CLIP, SigLIP and the like)."""

import functools
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from etl.transform.curation.settings import CurationSettings, SemanticDuplicateSettings
from snap2caption.errors import UserError
from snap2caption.images import FORMATS, flatten
from snap2caption.settings import Settings
from snap2caption.vlm.bases import hub_options, local_revision

BITS = 256
SKETCH_BYTES = BITS // 8

Sketcher = Callable[[bytes], bytes]


def pin_model(settings: CurationSettings) -> CurationSettings:
    """Return *settings* with the revision of their embedding model, so that other weights make another version.

    Raises:
        UserError: the model is not in the models folder, or has another revision than the settings say.
    """
    semantic = settings.semantic_duplicates
    if semantic is None:
        return settings
    pinned = semantic.model_copy(update={"revision": _check_revision(semantic)})
    return settings.model_copy(update={"semantic_duplicates": pinned})


def sketch_pictures(settings: SemanticDuplicateSettings) -> Sketcher:
    """Return the function that gives a photo's sketch: 32 bytes that differ the less, the more alike two pictures are.

    Each bit says on which side of a random plane the picture's embedding lies. Of two pictures whose embeddings are at
    an angle a, a share of a / 180 degrees of the bits differ. Source: Charikar, "Similarity estimation techniques from
    rounding algorithms", STOC 2002.

    Raises:
        UserError: the model is not in the models folder or has another revision, or transformers is not installed.
    """
    folder = _folder_of(settings)
    _check_revision(settings)
    try:
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ModuleNotFoundError as error:
        raise UserError(
            "The curation step semantic_duplicates needs transformers and torch; install snap2caption with its extra "
            "`model` (docs/installation.md), or take the step out of the settings."
        ) from error
    # Loaded with the first photo, and not where settings are only checked.
    return lambda photo: _load(folder)(photo)


def least_bits(similarity: float) -> int:
    """Return the number of bits that differ, on average, between pictures whose embeddings have a cosine of
    *similarity*.
    """
    return round(BITS * math.acos(similarity) / math.pi)


@functools.lru_cache(maxsize=1)
def _load(folder: Path) -> Sketcher:
    import torch
    from transformers import AutoImageProcessor, AutoModel
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # each worker would draw one
    torch.set_num_threads(1)  # workers share the cores already
    try:
        processor: Any = AutoImageProcessor.from_pretrained(
            str(folder), trust_remote_code=False, **hub_options(False, None)
        )
        model: Any = AutoModel.from_pretrained(
            str(folder), use_safetensors=True, trust_remote_code=False, **hub_options(False, None)
        )
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{folder} has no image embedding model that transformers can load ({reason}).") from error
    model.eval()
    planes: npt.NDArray[np.float64] | None = None

    def sketch(photo: bytes) -> bytes:
        nonlocal planes
        with Image.open(io.BytesIO(photo), formats=FORMATS) as image:
            image.draft("RGB", (512, 512))
            pixels = processor(images=flatten(image), return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            # A vision model alone, such as DINOv2, has no such method.
            found = getattr(model, "get_image_features", model)(pixel_values=pixels)
        embedding = getattr(found, "pooler_output", found)[0].double().numpy()
        if planes is None:
            planes = np.random.default_rng(0).standard_normal((BITS, len(embedding)))
        return np.packbits(planes @ embedding > 0).tobytes()

    return sketch


def _folder_of(settings: SemanticDuplicateSettings) -> Path:
    models_dir = Settings().models_dir
    folder = models_dir / settings.model
    if not (folder / "config.json").is_file():
        raise UserError(
            f"There is no model {settings.model} in {models_dir}; copy an image embedding model such as CLIP or SigLIP "
            "to that folder, in transformers' format, or take semantic_duplicates out of the settings."
        )
    return folder


def _check_revision(settings: SemanticDuplicateSettings) -> str:
    found = local_revision(_folder_of(settings))
    if settings.revision not in (None, found):
        raise UserError(
            f"The model {settings.model} has revision {found}, but the curation needs {settings.revision}; "
            "restore that model, or plan the transform again."
        )
    return found
