"""Choosing hashtags: what the model wrote first, then what the corpus uses together with it."""

import io
import itertools
import logging
import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

from snap2caption import hashtags
from snap2caption.errors import UserError
from snap2caption.store import open_store

logger = logging.getLogger(__name__)

TABLE = "hashtags.parquet"

_ROWS = 50_000
"""Hashtags of the table that are kept, the most used ones: a million pairs have ten times as many, nearly all of them used once."""

_PRIOR = 5.0
"""Posts of the whole corpus's mix that are added to each hashtag's own, so that a rare one doesn't count as a city's for one post."""

FALLBACK = (
    "photooftheday", "instagood", "photography", "picoftheday", "travel", "citylife", "instadaily", "explore", "urban", "moment",
    "street", "city", "view", "weekend", "life", "art", "light", "walk", "today", "wanderlust", "skyline", "outdoors", "memories",
    "discover", "adventure", "inspiration", "creative", "mood", "goodvibes", "happy",
)  # fmt: skip
"""Fits any photo: used only where nothing better is known."""


class HashtagTable:
    """The hashtags of a dataset version: how often each is used, where, and with which others."""

    def __init__(
        self, counts: dict[str, int], cities: dict[str, dict[str, int]], companions: dict[str, dict[str, int]]
    ) -> None:
        self._counts = counts
        self._cities = cities
        self._companions = companions
        self._total = max(1, sum(counts.values()))
        by_city: Counter[str] = Counter()
        for used in cities.values():
            by_city.update(used)
        self._shares = {city: count / by_city.total() for city, count in by_city.items()}

    @classmethod
    def fetch(cls, dataset_uri: str) -> "HashtagTable":
        """Read the table of the version at *dataset_uri*; an empty one where the store is away, as captions matter more."""
        import pyarrow.parquet as pq

        try:
            with open_store(dataset_uri).get(TABLE) as stream:
                # The most used come first in the file.
                return cls.from_rows(pq.read_table(io.BytesIO(stream.read())).slice(0, _ROWS).to_pylist())
        # Away, damaged, or of another shape.
        except (UserError, OSError, ValueError, KeyError, TypeError) as error:
            logger.warning("no hashtag table: %s", error)
            return cls.from_rows([])

    @classmethod
    def from_rows(cls, rows: Sequence[dict[str, Any]]) -> "HashtagTable":
        """Make a table of rows ``{"tag", "count", "cities": [{"city", "count"}], "with": [{"tag", "count"}]}``."""
        return cls(
            {row["tag"]: row["count"] for row in rows},
            {row["tag"]: {used["city"]: used["count"] for used in row["cities"]} for row in rows},
            {row["tag"]: {other["tag"]: other["count"] for other in row["with"]} for row in rows},
        )

    def candidates(self, seeds: Sequence[str]) -> list[str]:
        """Return hashtags that go with *seeds*, the best first.

        Relevance is how much more often a hashtag is used with the seeds than by itself (its lift, damped for rare ones), times how much
        it is at home in the city that the seeds speak of. Reach speaks for hashtags that people look at, competition against those that
        everybody uses: the middle of the tail is preferred (log-count near 0.6 of the largest).
        """
        together: defaultdict[str, float] = defaultdict(float)
        for seed in seeds:
            size = self._counts.get(seed, 0)
            for tag, count in self._companions.get(seed, {}).items():
                lift = math.log1p(count * self._total / (size * self._counts.get(tag, count)))
                together[tag] += lift * count / (count + 2)
        city = self._city(seeds)
        largest = math.log1p(max(self._counts.values(), default=1))
        scored = {
            tag: score
            * (1 - 0.5 * abs(math.log1p(self._counts.get(tag, 1)) / largest - 0.6))
            # Used everywhere is as good as used here; used elsewhere only is not.
            * (min(1.0, self._affinity(tag, city)) if city else 1.0)
            for tag, score in together.items()
        }
        return sorted(scored, key=lambda tag: (-scored[tag], tag))

    def _city(self, seeds: Sequence[str]) -> str | None:
        """Return the city that *seeds* together are used in most, for its size, if they tell."""
        told = {city: sum(math.log(self._affinity(seed, city)) for seed in seeds) for city in self._shares}
        best = max(told, key=lambda city: told[city], default=None)
        return best if best is not None and told[best] > 0 else None

    def _affinity(self, tag: str, city: str) -> float:
        """Return how much more often than all hashtags *tag* is used in *city*: 1 for one that is used everywhere, or is not known."""
        share = self._shares[city]
        used = self._cities.get(tag, {})
        return (used.get(city, 0) + _PRIOR * share) / (sum(used.values()) + _PRIOR) / share

    def known(self, words: Sequence[str]) -> list[str]:
        """Return which of *words* are hashtags of the table, in their order."""
        return [word for word in words if word in self._counts]


def rank(about: str, written: Sequence[str], table: HashtagTable, number: int) -> list[str]:
    """Return exactly *number* hashtags for a post, best first, in normal form, without `#`.

    *about* is the caption, and what else is known in words, such as the place.

    The model's own come first; then words of *about* that are hashtags of the corpus; then what the corpus uses with all of these; then
    the fallback. None is banned, none twice (nor once more in the plural).
    """
    own = list(written)
    said = table.known(_words(about))
    seeds = hashtags.unique([*own, *said])
    ordered = [*own, *said, *table.candidates(seeds), *FALLBACK]
    chosen: dict[str, str] = {}
    for tag in hashtags.unique(ordered):
        if tag not in banned():
            chosen.setdefault(_stem(tag), tag)
    return list(chosen.values())[:number]


@cache
def banned() -> frozenset[str]:
    """Return the hashtags that are never used (``banned_hashtags.txt``)."""
    text = resources.files(__package__).joinpath("banned_hashtags.txt").read_text(encoding="utf-8")
    return frozenset(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))


def _words(text: str) -> list[str]:
    words = [word.casefold() for word in re.findall(r"\w+", text) if len(word) > 3]
    return words + ["".join(pair) for pair in itertools.pairwise(words)]


def _stem(tag: str) -> str:
    return tag[:-1] if tag.endswith("s") and not tag.endswith("ss") and len(tag) > 3 else tag
