import random
from pathlib import Path

import pytest
from peft import LoraConfig, get_peft_model
from photos import real_photos
from PIL import Image

from demo.scenes.render import render
from demo.scenes.scene import sample_scene
from serving.engines.base import GenerationRequest, GenerationResult, generate
from serving.engines.local.engine import LocalEngine
from serving.engines.local.loader import LocalLoader
from serving.prompting.trained import TrainedTemplate
from serving.settings import ServingSettings
from snap2caption.post import Request
from snap2caption.registry.versions import ModelVersion
from snap2caption.settings import ROOT
from snap2caption.vlm import Decoding, VisionLanguageModel, find_revision, load, quieten_peft
from snap2caption.vlm.out_of_distribution import load_reference

pytestmark = pytest.mark.unit

MODELS = ROOT / "models"
LANGUAGE, VISION = r".*language_model.*\.q_proj", r".*vision_tower.*\.q_proj"


def caption(engine: LocalEngine) -> list[GenerationResult]:
    """Caption a rendered scene and a photograph, together."""
    astronaut = next(photo for photo in real_photos() if photo.name == "astronaut.png")
    photos = [render(sample_scene(random.Random(7)), 7), Image.open(astronaut).convert("RGB")]
    return generate(engine, [GenerationRequest(photo, Request(), (Decoding(4),)) for photo in photos])


def test_each_photo_of_a_batch_has_a_score_of_its_own(vlm: VisionLanguageModel) -> None:
    engine = LocalEngine(vlm, "demo/1", TrainedTemplate(), reference=load_reference(MODELS / "demo-base"))
    scene, photograph = caption(engine)
    assert scene.unfamiliarity is not None
    assert photograph.unfamiliarity is not None
    assert scene.unfamiliarity < 1 < photograph.unfamiliarity


def test_without_a_reference_there_is_no_score(vlm: VisionLanguageModel) -> None:
    results = caption(LocalEngine(vlm, "demo/1", TrainedTemplate()))
    assert [result.unfamiliarity for result in results] == [None, None]


@pytest.mark.parametrize(
    ("targets", "ships_its_own", "scored"), [(LANGUAGE, False, True), (VISION, False, False), (VISION, True, True)]
)
def test_the_reference_is_that_of_the_eyes_in_service(
    tmp_path: Path, targets: str, ships_its_own: bool, scored: bool
) -> None:
    quieten_peft()
    # An adapter that changes the vision tower may have learned from photographs.
    get_peft_model(load("demo-base", MODELS).model, LoraConfig(r=4, target_modules=targets)).save_pretrained(tmp_path)
    own = load_reference(MODELS / "demo-base")
    if ships_its_own and own:
        own.save(tmp_path)
    version = ModelVersion(1, "run", "demo-base", find_revision("demo-base", MODELS), "data", "file:///nowhere")
    engine = LocalLoader(ServingSettings(), MODELS).load(version, tmp_path, "demo/1")
    assert isinstance(engine, LocalEngine)
    assert [result.unfamiliarity is not None for result in caption(engine)] == [scored] * 2
