"""Hashtag statistics of a corpus: how often each is used, in which cities, and with which others."""

import io
import logging
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from snap2caption.errors import UserError
from snap2caption.store import open_store

logger = logging.getLogger(__name__)

TABLE = "hashtags.parquet"

_ROWS = 50_000
"""The number of hashtags that are kept, the most used ones.

A million pairs have ten times as many, nearly all of them used once.
"""

_PRIOR = 5.0
"""The weight of the prior, in posts with the distribution of the whole corpus, so that one post of a rare hashtag
proves nothing.
"""

_DOUBT = 0.5
"""The lower bound of one hashtag's affinity to a city: it may be wrong, and must not outvote two others."""

_AT_HOME = 0.9
"""The share of its uses that a hashtag must have in its home city."""

_ENOUGH = 5
"""The fewest uses from which a home city is inferred."""


class HashtagTable:
    """The hashtags of a dataset version, all in normal form.

    A hashtag that is not in the table counts as never used.
    """

    def __init__(
        self, counts: dict[str, int], cities: dict[str, dict[str, int]], companions: dict[str, dict[str, int]]
    ) -> None:
        self._counts = counts
        self._cities = cities
        self._companions = companions
        self._most = max(counts.values(), default=1)
        self._largest = math.log1p(self._most)
        by_city: Counter[str] = Counter()
        for used in cities.values():
            by_city.update(used)
        self._shares = {city: count / by_city.total() for city, count in by_city.items()}

    @classmethod
    def read(cls, dataset_uri: str) -> "HashtagTable":
        """Read the table of the dataset version at *dataset_uri*.

        Raises:
            UserError: the store is unavailable, or the file is not a hashtag table.
        """
        import pyarrow.parquet as pq

        with open_store(dataset_uri).get(TABLE) as stream:
            try:
                # The file is sorted by use, most used first.
                return cls.from_rows(pq.read_table(io.BytesIO(stream.read())).slice(0, _ROWS).to_pylist())
            # The connection was lost, or the file is damaged (Arrow's errors are ValueErrors) or has another schema.
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise UserError(
                    f"The hashtag table of {dataset_uri} can't be read ({error}); load the version again."
                ) from error

    @classmethod
    def fetch(cls, dataset_uri: str) -> "HashtagTable":
        """Read the table of the version at *dataset_uri*.

        If the store is unavailable, return an empty one: captions matter more.
        """
        try:
            return cls.read(dataset_uri)
        except UserError as error:
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

    def __contains__(self, tag: str) -> bool:
        return tag in self._counts

    def __len__(self) -> int:
        return len(self._counts)

    def popular(self, number: int) -> list[str]:
        """Return the most used hashtags, at most *number*."""
        return sorted(self._counts, key=lambda tag: (-self._counts[tag], tag))[:number]

    def count(self, tag: str) -> int:
        """Return the number of posts that use *tag*."""
        return self._counts.get(tag, 0)

    def reach(self, tag: str) -> float:
        """Return how much *tag* is used, from 0 (never) to 1 (the most used one), on a logarithmic scale."""
        return math.log1p(self.count(tag)) / self._largest

    def companions(self, tag: str) -> Iterable[str]:
        """Return the hashtags that are used with *tag* most often."""
        return self._companions.get(tag, {})

    def excess(self, tag: str, other: str) -> float:
        """Return how much likelier *other* is in posts with *tag* than in any post, from 0 (not at all) to 1.

        The number of posts is taken to be the count of the most used hashtag, and a rare *tag* is smoothed with a
        few more posts in which *other* occurs by chance. So the result is rather too low than too high.
        """
        chance = self.count(other) / self._most
        if chance >= 1:
            return 0.0
        share = (self._together(tag, other) + _PRIOR * chance) / (self.count(tag) + _PRIOR)
        return max(0.0, share - chance) / (1 - chance)

    def home(self, tag: str) -> str | None:
        """Return the city that *tag* is hardly used outside of, or None."""
        used = self._cities.get(tag, {})
        city = max(used, key=lambda city: used[city], default=None)
        total = sum(used.values())
        at_home = city is not None and total >= _ENOUGH and used[city] >= _AT_HOME * total
        return city if at_home and len(self._shares) > 1 else None

    def likeness(self, tag: str, other: str) -> float:
        """Return the similarity of two hashtags, from 0 to 1: the cosine of the sets of posts that use them."""
        together = self._together(tag, other)
        return together / math.sqrt(self.count(tag) * self.count(other)) if together else 0.0

    def city(self, tags: Iterable[str]) -> str | None:
        """Return the city in which *tags* together are used most, relative to its size, or None if they do not tell."""
        tags = list(tags)
        scores = {city: sum(math.log(max(_DOUBT, self.affinity(tag, city))) for tag in tags) for city in self._shares}
        best = max(scores, key=lambda city: scores[city], default=None)
        return best if best is not None and scores[best] > 0 else None

    def affinity(self, tag: str, city: str) -> float:
        """Return how much more often *tag* is used in *city* than hashtags are on average. 1 if it is unknown or used
        everywhere.
        """
        share = self._shares[city]
        used = self._cities.get(tag, {})
        return (used.get(city, 0) + _PRIOR * share) / (sum(used.values()) + _PRIOR) / share

    def _together(self, tag: str, other: str) -> int:
        # Each keeps its nearest companions only: the other may know what the one has forgotten.
        return self._companions.get(tag, {}).get(other, 0) or self._companions.get(other, {}).get(tag, 0)
