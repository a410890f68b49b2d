"""Packed models: image features stay those of the model, with and without padding."""

from pathlib import Path

import pytest
import torch
from families import FAMILIES
from PIL import Image

from serving.engines.local.packed_model import load_dtype, pack_model
from snap2caption.vlm import image_features, load
from snap2caption.vlm.kernels import has_bfloat16

# LLaVA 1.6 has a backslash too many in its template.
pytestmark = [pytest.mark.unit, pytest.mark.filterwarnings("ignore:.*invalid escape sequence:DeprecationWarning")]


@pytest.mark.parametrize("padded", [False, True], ids=["whole", "padded"])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("precision", ["auto", "fp32"])
def test_features_are_those_of_the_model(precision: str, family: str, padded: bool, tmp_path: Path) -> None:
    FAMILIES[family].write(tmp_path)
    whole = load(family, tmp_path)
    packed = load(family, tmp_path, dtype=load_dtype(precision))
    pack_model(packed.model, precision)
    photo = Image.radial_gradient("L").resize((300, 300)).convert("RGB")
    pair = []
    for vlm in (whole, packed):
        inputs = vlm.inputs([photo, photo], ["", ""])
        if padded and "pixel_attention_mask" in inputs:
            inputs["pixel_attention_mask"][..., 16:] = 0
        with torch.inference_mode():
            pair.append(image_features(vlm.model, inputs))
    expected, features = pair
    allowed = 0.03 if precision == "auto" and has_bfloat16() else 1e-5
    assert (features.float() - expected).norm() < allowed * expected.norm()
