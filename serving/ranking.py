"""Choosing hashtags: what the model wrote first, then what the corpus uses together with it."""

import io
import itertools
import logging
import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

from snap2caption import hashtags
from snap2caption.errors import UserError
from snap2caption.store import open_store

logger = logging.getLogger(__name__)

TABLE = "hashtags.parquet"

FALLBACK = (
    "photooftheday", "instagood", "photography", "picoftheday", "travel", "citylife", "instadaily", "explore", "urban", "moment",
    "street", "city", "view", "weekend", "life", "art", "light", "walk", "today", "wanderlust", "skyline", "outdoors", "memories",
    "discover", "adventure", "inspiration", "creative", "mood", "goodvibes", "happy",
)  # fmt: skip
"""Fits any photo: used only where nothing better is known."""


class HashtagTable:
    """The hashtags of a dataset version: how often each is used, where, and with which others."""

    def __init__(self, counts: dict[str, int], companions: dict[str, dict[str, int]]) -> None:
        self._counts = counts
        self._companions = companions
        self._total = max(1, sum(counts.values()))

    @classmethod
    def fetch(cls, dataset_uri: str) -> "HashtagTable":
        """Read the table of the version at *dataset_uri*; an empty one where the store is away, as captions matter more."""
        import pyarrow.parquet as pq

        try:
            with open_store(dataset_uri).get(TABLE) as stream:
                return cls.from_rows(pq.read_table(io.BytesIO(stream.read())).to_pylist())
        # Away, damaged, or of another shape.
        except (UserError, ValueError, KeyError) as error:
            logger.warning("no hashtag table: %s", error)
            return cls.from_rows([])

    @classmethod
    def from_rows(cls, rows: Sequence[dict[str, Any]]) -> "HashtagTable":
        """Make a table of rows ``{"tag", "count", "with": [{"tag", "count"}]}``."""
        return cls(
            {row["tag"]: row["count"] for row in rows},
            {row["tag"]: {other["tag"]: other["count"] for other in row["with"]} for row in rows},
        )

    def candidates(self, seeds: Sequence[str]) -> list[str]:
        """Return hashtags that go with *seeds*, the best first.

        Relevance is how much more often a hashtag is used with the seeds than by itself (its lift, damped for rare ones). Reach speaks for
        hashtags that people look at, competition against those that everybody uses: the middle of the tail is preferred (log-count
        near the square root of the largest).
        """
        together: Counter[str] = Counter()
        for seed in seeds:
            size = self._counts.get(seed, 0)
            for tag, count in self._companions.get(seed, {}).items():
                lift = math.log1p(count * self._total / (size * self._counts.get(tag, count)))
                together[tag] += lift * count / (count + 2)  # type: ignore[assignment]
        largest = math.log1p(max(self._counts.values(), default=1))
        scored = {
            tag: score * (1 - 0.5 * abs(math.log1p(self._counts.get(tag, 1)) / largest - 0.6))
            for tag, score in together.items()
        }
        return sorted(scored, key=lambda tag: (-scored[tag], tag))

    def known(self, words: Sequence[str]) -> list[str]:
        """Return which of *words* are hashtags of the table, in their order."""
        return [word for word in words if word in self._counts]


def rank(caption: str, written: Sequence[str], table: HashtagTable, number: int) -> list[str]:
    """Return exactly *number* hashtags for a post, best first, in normal form, without `#`.

    The model's own come first; then words of the caption that are hashtags of the corpus; then what the corpus uses with all of these; then
    the fallback. None is banned, none twice (nor once more in the plural).
    """
    own = list(written)
    said = table.known(_words(caption))
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


def _words(caption: str) -> list[str]:
    words = [word.casefold() for word in re.findall(r"\w+", caption) if len(word) > 3]
    return words + ["".join(pair) for pair in itertools.pairwise(words)]


def _stem(tag: str) -> str:
    return tag[:-1] if tag.endswith("s") and not tag.endswith("ss") and len(tag) > 3 else tag
