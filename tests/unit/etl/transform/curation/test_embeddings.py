"""Semantic duplicates with a tiny CLIP of random weights: how they are found, not how well a trained model knows them."""

import io
import math
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from etl.transform import transform
from etl.transform.curation.embeddings import BITS, least_bits, pin_model, sketch_pictures
from etl.transform.curation.settings import CurationSettings, SemanticDuplicateSettings
from etl.transform.splitting.spooled_rows import SpooledRows
from etl.transform.stages.curate import _find_alike
from snap2caption.datasets.corpus_members import caption_member, image_member, write_member
from snap2caption.datasets.manifest import Manifest
from snap2caption.errors import UserError

pytestmark = pytest.mark.unit

MODEL = "tiny-clip"
SETTINGS = SemanticDuplicateSettings(model=MODEL, min_similarity=0.98)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTextConfig, CLIPVisionConfig

    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    small = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    text = CLIPTextConfig(vocab_size=64, max_position_embeddings=8, bos_token_id=0, eos_token_id=1, **small)
    vision = CLIPVisionConfig(image_size=64, patch_size=16, **small)
    config = CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=64)
    CLIPModel(config).save_pretrained(folder / MODEL)
    CLIPImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64}).save_pretrained(
        folder / MODEL
    )
    return folder


@pytest.fixture(autouse=True)
def _models_dir(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNAP2CAPTION_MODELS_DIR", str(models))


def encoded(image: Image.Image, quality: int = 90) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return stream.getvalue()


@pytest.fixture(scope="module")
def photos() -> list[Image.Image]:
    """Photographs of the public domain, and CC0."""
    found = (data.astronaut(), data.chelsea(), data.coffee(), data.rocket())
    return [Image.fromarray(pixels).convert("RGB").resize((300, 300)) for pixels in found]


def distance(one: bytes, other: bytes) -> int:
    return int(np.bitwise_count(np.frombuffer(one, np.uint8) ^ np.frombuffer(other, np.uint8)).sum())


def test_bits_measure_the_angle_between_embeddings() -> None:
    assert [least_bits(similarity) for similarity in (1, math.cos(math.pi / 4), 0)] == [0, BITS / 4, BITS / 2]


def test_copies_are_nearer_than_other_photos(models: Path, photos: list[Image.Image]) -> None:
    sketch = sketch_pictures(SETTINGS)
    whole = [sketch(encoded(photo)) for photo in photos]
    for number, photo in enumerate(photos):
        for copy in (encoded(photo, 60), encoded(photo.crop((6, 6, 294, 294))), encoded(photo.resize((250, 250)))):
            away = [distance(sketch(copy), one) for one in whole]
            assert away[number] <= least_bits(0.98) < min(away[:number] + away[number + 1 :])


def test_of_pictures_that_show_the_same_one_is_kept(tmp_path: Path, photos: list[Image.Image]) -> None:
    corpus = tmp_path / "corpus.zip"
    with zipfile.ZipFile(corpus, "w") as archive:
        for number, photo in enumerate(photos):
            for name, file in (("a", encoded(photo)), ("b", encoded(photo, 60))):
                write_member(archive, image_member("newyork", f"{number}{name}", file, "jpg"))
                caption = f"Picture {name} of number {number} in a row".encode()
                write_member(archive, caption_member("newyork", f"{number}{name}", caption))
    curation = CurationSettings(semantic_duplicates=SETTINGS)
    version = transform(corpus, tmp_path / "out", cities=["all"], curation=curation, workers=1)
    assert Manifest.read(version).dropped == {"semantic_duplicate": 4}
    assert "semantic_duplicate: 4" in (tmp_path / "out" / f"rejected-{version.name}.html").read_text()


@pytest.mark.parametrize(
    ("copies", "left_out"),
    [(None, [1, 3]), ([False] * 5, [1, 3]), ([False, True, False, False, False], [3])],
)
def test_both_ends_of_a_chain_are_kept(tmp_path: Path, copies: list[bool] | None, left_out: list[int]) -> None:
    # In each, one more bit is set: neighbors are alike, the ends are not.
    with SpooledRows(tmp_path / "rows", BITS // 8) as sketches:
        sketches.append(np.packbits(np.tri(5, BITS, -1, dtype=np.uint8), axis=1))
        found = _find_alike(sketches, None if copies is None else np.array(copies), 1)
    assert np.flatnonzero(found).tolist() == left_out


def test_the_model_s_weights_are_part_of_the_settings(models: Path) -> None:
    pinned = pin_model(CurationSettings(semantic_duplicates=SETTINGS))
    assert pinned.semantic_duplicates is not None
    assert pinned.semantic_duplicates.revision
    assert pin_model(pinned) == pinned
    other = SETTINGS.model_copy(update={"revision": "0" * 12})
    with pytest.raises(UserError, match=r"has revision .*, but the curation needs 000000000000"):
        sketch_pictures(other)


def test_a_missing_model_is_a_sentence() -> None:
    with pytest.raises(UserError, match="There is no model nothing in "):
        sketch_pictures(SemanticDuplicateSettings(model="nothing"))
    assert pin_model(CurationSettings()) == CurationSettings()
