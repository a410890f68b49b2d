"""Generation benchmark: batched captions, as in the service, and one call of generate per request."""

import random

from PIL.Image import Image

from benchmarks.table import TableRow, compare
from demo.scenes.render import render
from demo.scenes.scene import sample_scene
from snap2caption.post import DESCRIBE_PROMPT
from snap2caption.settings import Settings
from snap2caption.vlm import Decoding, load

PHOTOS, BATCH = 32, 8


def run() -> TableRow:
    """Compare on the demo base, greedily, with the same texts as result."""
    vlm = load("demo-base", Settings().models_dir)
    rng = random.Random(0)
    photos: list[Image] = [render(sample_scene(rng), seed) for seed in range(PHOTOS)]
    decoding = Decoding(max_new_tokens=48)

    def batched() -> list[str]:
        chunks = [photos[start : start + BATCH] for start in range(0, PHOTOS, BATCH)]
        return [
            found.text for chunk in chunks for found in vlm.generate(chunk, [DESCRIBE_PROMPT] * len(chunk), decoding)
        ]

    def one_by_one() -> list[str]:
        return [vlm.generate([photo], [DESCRIBE_PROMPT], decoding)[0].text for photo in photos]

    return compare(
        f"{PHOTOS} captions in batches of {BATCH}, demo base, CPU", "generate, one photo at a time", batched, one_by_one
    )
