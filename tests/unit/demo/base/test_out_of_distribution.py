from pathlib import Path

import pytest
from photographs import photographs

from demo.base.pool import FIRST_SEED
from demo.base.reference import draw_scene, patch_features
from snap2caption.images import WORKING_SIDE, decode
from snap2caption.settings import ROOT
from snap2caption.vlm import VisionLanguageModel, load, local_revision
from snap2caption.vlm.out_of_distribution import FeatureReference, load_reference

pytestmark = pytest.mark.unit

BASE = ROOT / "models" / "demo-base"

HELD_OUT = FIRST_SEED + (1 << 30)
"""Scene seeds from here on are neither of the reference nor of its calibration."""

SCENES = 200


@pytest.fixture(scope="module")
def base() -> VisionLanguageModel:
    return load(BASE.name, BASE.parent)


@pytest.fixture(scope="module")
def reference() -> FeatureReference:
    reference = load_reference(BASE)
    assert reference is not None
    return reference


@pytest.mark.parametrize(("augmented", "most"), [(False, 0.01), (True, 0.06)])
def test_rendered_scenes_are_familiar(
    base: VisionLanguageModel, reference: FeatureReference, augmented: bool, most: float
) -> None:
    scenes = [draw_scene(HELD_OUT + number, augmented=augmented) for number in range(SCENES)]
    scores = reference.scores(patch_features(base, scenes))
    false_alarms = sum(score > 1 for score in scores) / SCENES
    print(f"false alarms: {false_alarms:.1%} of {SCENES} scenes, augmented: {augmented}")
    assert false_alarms <= most


def test_photographs_are_unfamiliar(base: VisionLanguageModel, reference: FeatureReference) -> None:
    real = photographs()
    assert len(real) >= 60
    pictures = [decode(photograph.content, max_side=WORKING_SIDE) for photograph in real]
    scores = reference.scores(patch_features(base, pictures))
    missed = [photograph.path for photograph, score in zip(real, scores, strict=True) if score <= 1]
    print(f"missed: {len(missed)} of {len(real)} photographs: {missed}")
    assert len(missed) / len(real) <= 0.08


def test_the_reference_leaves_its_bases_revision_alone(tmp_path: Path, reference: FeatureReference) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    before = local_revision(tmp_path)
    reference.save(tmp_path)
    assert local_revision(tmp_path) == before
