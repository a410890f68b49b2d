"""Photos that are broken, hostile or strange, some of each kind: always the same ones for a seed."""

import random
from collections.abc import Iterator

# Each adds its kinds to `MAKERS`.
from hostile_photos import broken, hostile, no_photos, strange  # noqa: F401
from hostile_photos.heif_and_avif import heif
from hostile_photos.making import MAKERS, MAX_PIXELS, UPRIGHT, Upload, encoded, oriented, scene

__all__ = ["MAKERS", "MAX_PIXELS", "UPRIGHT", "Upload", "corpus", "encoded", "heif", "oriented", "scene"]


def corpus(each: int, seed: int = 0) -> Iterator[Upload]:
    """Make *each* uploads of every kind."""
    for number in range(each):
        for kind, maker in MAKERS.items():
            yield Upload(kind, number, *maker(random.Random(f"{seed} {kind} {number}"), number))
