"""Out-of-distribution reference of the demo base, made by ``python -m demo.base.reference`` in some minutes."""

import argparse
import random
from collections.abc import Iterable
from pathlib import Path

import torch
from PIL import Image

from demo.base.augmentation import augment
from demo.base.pool import FIRST_SEED
from demo.scenes.render import render
from demo.scenes.scene import sample_scene
from snap2caption.settings import Settings
from snap2caption.vlm import VisionLanguageModel, load, vision_features
from snap2caption.vlm.out_of_distribution import FeatureReference, fit_reference

PICTURES = 4096
"""Pictures of the reference: the first of those that the base was pretrained on."""

CALIBRATION_SEED = FIRST_SEED + (1 << 29)
CALIBRATION_PICTURES = 2000
"""Scenes that the base has never seen; the threshold is set on them."""

SHARE = 0.985
"""The share of the calibration pictures that is not above the threshold."""

_BATCH = 64


def draw_scene(seed: int, *, augmented: bool) -> Image.Image:
    """Return the scene of *seed*, as it was rendered or as phones and apps would alter it."""
    picture = render(sample_scene(random.Random(seed)), seed)
    return augment(picture, random.Random(f"augmented/{seed}")) if augmented else picture


def patch_features(vlm: VisionLanguageModel, pictures: Iterable[Image.Image]) -> torch.Tensor:
    """Return the vision tower's features of *pictures*, of shape (pictures, patches, width), in 32 bits."""
    waiting, features = list(pictures), []
    with torch.inference_mode():
        for start in range(0, len(waiting), _BATCH):
            batch = vlm.processor.image_processor(waiting[start : start + _BATCH], return_tensors="pt")
            features.append(vision_features(vlm.model, batch).patches.float())
    return torch.cat(features)


def make_reference(vlm: VisionLanguageModel, seed: int) -> FeatureReference:
    """Return the reference: half of the pictures are as rendered, half are augmented."""
    return fit_reference(
        _features(vlm, FIRST_SEED, PICTURES),
        _features(vlm, CALIBRATION_SEED, CALIBRATION_PICTURES),
        share=SHARE,
        seed=seed,
    )


def _features(vlm: VisionLanguageModel, first: int, pictures: int) -> torch.Tensor:
    seeds = range(first, first + pictures)
    parts = [seeds[start : start + _BATCH] for start in range(0, pictures, _BATCH)]
    return torch.cat(
        [patch_features(vlm, [draw_scene(seed, augmented=seed % 2 > 0) for seed in part]) for part in parts]
    )


def main() -> None:
    """Make the reference of the demo base again, and save it next to the weights."""
    parser = argparse.ArgumentParser(prog="python -m demo.base.reference", description=main.__doc__)
    parser.add_argument("--base", type=Path, default=Settings().models_dir / "demo-base", help="folder of the model")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    make_reference(load(options.base.name, options.base.parent), options.seed).save(options.base)


if __name__ == "__main__":
    main()
