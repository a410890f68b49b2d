"""Data card: one HTML page that shows in pictures what a dataset version contains."""

import base64
import io
import itertools
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image, ImageOps

from etl.place import Place
from etl.transform import columns
from etl.transform.archive.corpus import CorpusArchive, open_corpus
from etl.transform.archive.member_reader import ArchiveMember
from etl.transform.splitting.split import find_imbalances
from etl.transform.working_tables import read_batches
from etl.transform.writing.distributions import Distribution
from snap2caption.datasets.manifest import Manifest
from snap2caption.datasets.shards import read_shard
from snap2caption.images import flatten
from snap2caption.text.segmentation import find_words

CARD = "card.html"

PICTURES_PER_CITY = 8
THUMBNAIL = 150
"""Pixels of a thumbnail's longer side."""
_SAMPLED = 4000
"""Number of samples from which the card takes its pictures and length counts."""
_TOP = 15
_CURVE_POINTS = 60

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class CardPhoto:
    """A photo with its caption and hashtags, for display."""

    photo: bytes
    caption: str
    hashtags: tuple[str, ...] = ()


DuplicatePair = tuple[CardPhoto, CardPhoto]
"""Two samples that were found to be duplicates: the first one, and the other."""


class DataCard:
    """The card of a version, with everything that can be drawn before the version is complete. The same version
    gives the same bytes.

    Args:
        captions: captions of the sampled posts.
        shown: some photos of each city.
        duplicates: examples of duplicates, each group under its heading.
        distributions: what curation measured.
    """

    def __init__(
        self,
        captions: Sequence[str],
        shown: Mapping[str, Sequence[CardPhoto]],
        duplicates: Sequence[tuple[str, Sequence[DuplicatePair]]] = (),
        distributions: Sequence[Distribution] = (),
    ) -> None:
        from jinja2 import Environment, PackageLoader

        loader = PackageLoader(__package__, ".")
        self._template = Environment(autoescape=True, loader=loader).get_template("card.html.j2")
        self._distributions = list(distributions)
        self._lengths = [len(find_words(caption)) for caption in captions]
        self._grid = [(city, [draw_thumbnail(one) for one in chosen]) for city, chosen in sorted(shown.items())]
        self._duplicates = [
            (kind, [(draw_thumbnail(one), draw_thumbnail(other)) for one, other in pairs])
            for kind, pairs in duplicates
            if pairs
        ]

    @classmethod
    def of_posts(
        cls,
        posts: Path,
        corpus: Place,
        duplicates: Sequence[tuple[str, Sequence[DuplicatePair]]],
        distributions: Sequence[Distribution] = (),
    ) -> "DataCard":
        """Sample the table *posts* of the train split, whose photos lie in *corpus*."""
        found = next(read_batches(posts, _SAMPLED), None)
        rows = found.to_pylist() if found else []
        with open_corpus(corpus) as archive:
            shown = {
                city: [_card_photo(row, archive) for row in chosen]
                for city, chosen in _examples_by_city(rows, itemgetter("city")).items()
            }
        return cls([row["caption"] for row in rows], shown, duplicates, distributions)

    @classmethod
    def of_shards(cls, shards: Iterable[Path]) -> "DataCard":
        """Sample the *shards* of the train split."""
        samples = list(itertools.islice(itertools.chain.from_iterable(map(read_shard, shards)), _SAMPLED))
        shown = {
            city: [CardPhoto(sample.photo(), sample.post.caption, sample.post.hashtags) for sample in chosen]
            for city, chosen in _examples_by_city(samples, attrgetter("city")).items()
        }
        return cls([sample.post.caption for sample in samples], shown)

    def write(self, folder: Path, manifest: Manifest) -> None:
        """Write the card next to the version's other files, which *manifest* names."""
        tags, counts = _hashtags(manifest.find(manifest.hashtags, folder))
        page = self._template.render(
            manifest=manifest,
            imbalances=find_imbalances(manifest),
            kept=sum(split.samples for split in manifest.splits.values()),
            cities=sorted({city for split in manifest.splits.values() for city in split.cities}),
            thumbnail=THUMBNAIL,
            lengths=_histogram(self._lengths),
            median_length=statistics.median(self._lengths) if self._lengths else 0,
            hashtags=tags,
            tail=_tail(counts),
            sampled=len(self._lengths),
            duplicates=self._duplicates,
            distributions=self._distributions,
            grid=self._grid,
        )
        (folder / CARD).write_text(page, encoding="utf-8")


def _hashtags(table: Path) -> tuple[list[tuple[str, int]], list[int]]:
    """Return the most used hashtags with their counts, and the counts of all hashtags in descending order."""
    import pyarrow.parquet as pq

    used = pq.ParquetFile(table).read(columns=["tag", "count"])
    names = [f"#{tag}" for tag in used["tag"].slice(0, _TOP).to_pylist()]
    counts = used["count"].to_pylist()
    return list(zip(names, counts, strict=False)), counts


def _tail(counts: Sequence[int]) -> dict[str, Any] | None:
    """Return the rank-frequency curve, both axes logarithmic, from 0 to 1."""
    if len(counts) < 2 or counts[0] < 2:
        return None
    ranks = sorted({round(len(counts) ** (step / _CURVE_POINTS)) for step in range(_CURVE_POINTS + 1)})
    points = [
        (math.log(rank) / math.log(len(counts)), math.log(counts[rank - 1]) / math.log(counts[0])) for rank in ranks
    ]
    return {"points": points, "tags": len(counts), "most": counts[0], "once": sum(count == 1 for count in counts)}


def _histogram(lengths: Sequence[int], width: int = 5, bins: int = 10) -> list[tuple[str, int]]:
    counts = Counter(min(length // width, bins - 1) for length in lengths)
    names = [f"{bin_ * width}–{bin_ * width + width - 1}" for bin_ in range(bins - 1)] + [f"{(bins - 1) * width}+"]
    return [(name, counts[bin_]) for bin_, name in enumerate(names)] if lengths else [("0", 1)]


def _examples_by_city(sampled: Iterable[Item], city_of: Callable[[Item], str]) -> dict[str, list[Item]]:
    by_city: defaultdict[str, list[Item]] = defaultdict(list)
    for one in sampled:
        if len(by_city[city_of(one)]) < PICTURES_PER_CITY:
            by_city[city_of(one)].append(one)
    return by_city


def _card_photo(row: dict[str, Any], archive: CorpusArchive) -> CardPhoto:
    photo = ArchiveMember(*(row[name] for name in columns.places("image"))).read(archive)
    return CardPhoto(photo, row["caption"], tuple(row["hashtags"]))


def draw_thumbnail(shown: CardPhoto) -> dict[str, str]:
    """Return a small JPEG of the photo in base64 (``data``), its ``caption`` and its hashtags (``tags``)."""
    with Image.open(io.BytesIO(shown.photo)) as image:
        image.thumbnail((THUMBNAIL, THUMBNAIL))
        stream = io.BytesIO()
        # Without metadata: Pillow would write the comment again.
        flatten(ImageOps.exif_transpose(image)).save(stream, "JPEG", quality=80)
    return {
        "data": base64.b64encode(stream.getvalue()).decode(),
        "caption": shown.caption,
        "tags": " ".join(f"#{tag}" for tag in shown.hashtags),
    }
