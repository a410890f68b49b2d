"""The data card: one HTML page with what is in a dataset version, in pictures."""

import base64
import io
import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from snap2caption.manifest import Manifest
from snap2caption.shards import Sample, read_shard

CARD = "card.html"

PICTURES_PER_CITY = 8
_THUMBNAIL = 150
_LOOKED_AT = 4000
"""Samples that the card's counts of lengths and hashtags are taken from."""


def write_card(folder: Path, manifest: Manifest) -> None:
    """Write the card of the version in *folder*; the same bytes for the same version."""
    from jinja2 import Environment, PackageLoader

    samples = _look(folder, manifest)
    lengths = [len(sample.post.caption.split()) for sample in samples]
    tags = Counter(tag for sample in samples for tag in sample.post.hashtags)
    template = Environment(autoescape=True, loader=PackageLoader(__package__, ".")).get_template("card.html.j2")
    page = template.render(
        manifest=manifest,
        cities=sorted({city for split in manifest.splits.values() for city in split.cities}),
        thumbnail=_THUMBNAIL,
        lengths=_histogram(lengths),
        median_length=statistics.median(lengths) if lengths else 0,
        hashtags=[(f"#{tag}", count) for tag, count in sorted(tags.items(), key=lambda item: (-item[1], item[0]))[:15]],
        distinct=len(tags),
        once=sum(count == 1 for count in tags.values()),
        looked_at=len(samples),
        grid=_grid(samples),
    )
    (folder / CARD).write_text(page, encoding="utf-8")


def _look(folder: Path, manifest: Manifest) -> list[Sample]:
    samples: list[Sample] = []
    for shard in manifest.splits["train"].shards:
        samples += read_shard(folder / shard.name)
        if len(samples) >= _LOOKED_AT:
            break
    return samples[:_LOOKED_AT]


def _histogram(lengths: Sequence[int], width: int = 5, bins: int = 10) -> list[tuple[str, int]]:
    counts = Counter(min(length // width, bins - 1) for length in lengths)
    names = [f"{bin_ * width}–{bin_ * width + width - 1}" for bin_ in range(bins - 1)] + [f"{(bins - 1) * width}+"]
    return [(name, counts[bin_]) for bin_, name in enumerate(names)] if lengths else [("0", 1)]


def _grid(samples: Sequence[Sample]) -> list[tuple[str, list[dict[str, Any]]]]:
    by_city: defaultdict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        if len(by_city[sample.city]) < PICTURES_PER_CITY:
            by_city[sample.city].append(sample)
    return [(city, [_picture(sample) for sample in chosen]) for city, chosen in sorted(by_city.items())]


def _picture(sample: Sample) -> dict[str, Any]:
    with Image.open(io.BytesIO(sample.photo())) as image:
        image.thumbnail((_THUMBNAIL, _THUMBNAIL))
        stream = io.BytesIO()
        image.convert("RGB").save(stream, "JPEG", quality=80)
    return {
        "data": base64.b64encode(stream.getvalue()).decode(),
        "caption": sample.post.caption,
        "tags": " ".join(f"#{tag}" for tag in sample.post.hashtags),
    }
