"""The data card: one HTML page with what is in a dataset version, in pictures."""

import base64
import io
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from snap2caption.manifest import Manifest
from snap2caption.shards import Sample, read_shard

CARD = "card.html"

PICTURES_PER_CITY = 8
_THUMBNAIL = 150
_LOOKED_AT = 4000
"""Samples that the card's pictures and its counts of lengths are taken from."""
_TOP = 15
_TAIL_POINTS = 60


@dataclass(frozen=True, slots=True)
class Shown:
    """A photo with its words, for people to look at."""

    photo: bytes
    caption: str
    hashtags: tuple[str, ...] = ()


Twins = tuple[Shown, Shown]
"""Two samples that were found to be alike: the one that came first, and the other."""


def write_card(folder: Path, manifest: Manifest, duplicates: Sequence[tuple[str, Sequence[Twins]]]) -> None:
    """Write the card of the version in *folder*; the same bytes for the same version.

    Args:
        folder: with the version's shards and hashtag table.
        manifest: the version's.
        duplicates: examples of what was found to be alike, under a heading each.
    """
    from jinja2 import Environment, PackageLoader

    samples = _look(folder, manifest)
    lengths = [len(sample.post.caption.split()) for sample in samples]
    tags, counts = _hashtags(folder / manifest.hashtags.name)
    template = Environment(autoescape=True, loader=PackageLoader(__package__, ".")).get_template("card.html.j2")
    page = template.render(
        manifest=manifest,
        kept=sum(split.samples for split in manifest.splits.values()),
        cities=sorted({city for split in manifest.splits.values() for city in split.cities}),
        thumbnail=_THUMBNAIL,
        lengths=_histogram(lengths),
        median_length=statistics.median(lengths) if lengths else 0,
        hashtags=tags,
        tail=_tail(counts),
        looked_at=len(samples),
        duplicates=[
            (kind, [(_drawn(one), _drawn(other)) for one, other in twins]) for kind, twins in duplicates if twins
        ],
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


def _hashtags(table: Path) -> tuple[list[tuple[str, int]], list[int]]:
    """Return the most used hashtags with their counts, and the counts of all, in falling order."""
    import pyarrow.parquet as pq

    counts = pq.read_table(table, columns=["count"])["count"].to_pylist()
    tags = next(pq.ParquetFile(table).iter_batches(_TOP, columns=["tag"]), None)
    names = [f"#{tag}" for tag in tags.column("tag").to_pylist()] if tags else []
    return list(zip(names, counts, strict=False)), counts


def _tail(counts: Sequence[int]) -> dict[str, Any] | None:
    """Return the curve of use by rank, both logarithmic, from 0 to 1."""
    if len(counts) < 2 or counts[0] < 2:
        return None
    ranks = sorted({round(len(counts) ** (step / _TAIL_POINTS)) for step in range(_TAIL_POINTS + 1)})
    points = [
        (math.log(rank) / math.log(len(counts)), math.log(counts[rank - 1]) / math.log(counts[0])) for rank in ranks
    ]
    return {"points": points, "tags": len(counts), "most": counts[0], "once": sum(count == 1 for count in counts)}


def _histogram(lengths: Sequence[int], width: int = 5, bins: int = 10) -> list[tuple[str, int]]:
    counts = Counter(min(length // width, bins - 1) for length in lengths)
    names = [f"{bin_ * width}–{bin_ * width + width - 1}" for bin_ in range(bins - 1)] + [f"{(bins - 1) * width}+"]
    return [(name, counts[bin_]) for bin_, name in enumerate(names)] if lengths else [("0", 1)]


def _grid(samples: Sequence[Sample]) -> list[tuple[str, list[dict[str, str]]]]:
    by_city: defaultdict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        if len(by_city[sample.city]) < PICTURES_PER_CITY:
            by_city[sample.city].append(sample)
    return [
        (city, [_drawn(Shown(sample.photo(), sample.post.caption, sample.post.hashtags)) for sample in chosen])
        for city, chosen in sorted(by_city.items())
    ]


def _drawn(shown: Shown) -> dict[str, str]:
    with Image.open(io.BytesIO(shown.photo)) as image:
        image.thumbnail((_THUMBNAIL, _THUMBNAIL))
        stream = io.BytesIO()
        image.convert("RGB").save(stream, "JPEG", quality=80)
    return {
        "data": base64.b64encode(stream.getvalue()).decode(),
        "caption": shown.caption,
        "tags": " ".join(f"#{tag}" for tag in shown.hashtags),
    }
