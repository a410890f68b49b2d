"""The page of sample photographs, with the demo base: what is said about them is not looked at."""

from pathlib import Path

import pytest

from benchmarks.real_photos import caption_photographs, page, photographs
from serving.settings import ServingSettings
from snap2caption.post import Tone

pytestmark = pytest.mark.integration


def test_nine_photographs_come_onto_one_page(tmp_path: Path) -> None:
    settings = ServingSettings(model="demo-base", max_new_tokens=16, cache_dir=tmp_path)
    captioned = caption_photographs(settings, [Tone.WITTY])
    assert [one.name for one in captioned] == [path.name for path in photographs()]
    text = page("demo-base", captioned)
    assert text.count("<img alt") == len(captioned) == 9
    assert all(one.answers[Tone.WITTY].model_version == "demo-base (untrained)" for one in captioned)
