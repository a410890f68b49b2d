import pytest

from snap2caption.settings import ROOT
from snap2caption.vlm import VisionLanguageModel, load


@pytest.fixture(scope="module")
def vlm() -> VisionLanguageModel:
    return load("demo-base", ROOT / "models")
