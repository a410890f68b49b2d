"""How far a score would move on other photos of the same kind: cluster bootstrap with expanded percentile intervals.

Near-duplicates come in groups, and a group's photos tell little more than one of them. So whole groups are drawn, with all their photos.
Percentiles of few groups are too narrow, as for a mean they lack Student's t and the factor n / (n - 1). So both are put into the level at which
percentiles are taken, with the effective number of groups as n: groups of unequal sizes count for fewer.

Sources: Field and Welsh, "Bootstrapping clustered data", J. R. Stat. Soc. B, 2007; Hesterberg, "What Teachers Should Know About the Bootstrap",
The American Statistician, 2015 (expanded percentiles); Kish, "Survey Sampling", 1965 (effective number).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.special import ndtr, ndtri, stdtr, stdtrit

FEWEST = 10
"""Groups that an interval takes. The percentiles of fewer do not reach far enough, at whatever level."""

_CELLS = 1 << 21
"""Groups times resamples that are in memory at a time; each takes 24 bytes."""


@dataclass(frozen=True, slots=True)
class ResamplingClusters:
    """Which rows belong together: *of_row* is (rows,), the number of each one's cluster from 0; *sizes* is (clusters,)."""

    of_row: NDArray[np.intp]
    sizes: NDArray[np.intp]

    @classmethod
    def named(cls, names: Sequence[str]) -> "ResamplingClusters":
        """Return the clusters of rows that are named alike."""
        _, of_row, sizes = np.unique(np.array(names), return_inverse=True, return_counts=True)
        return cls(of_row, sizes)

    @classmethod
    def single(cls, rows: int) -> "ResamplingClusters":
        """Return a cluster for each row."""
        return cls(np.arange(rows), np.ones(rows, dtype=np.intp))

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def effective(self) -> float:
        """How many clusters of equal size would tell as much of independent rows; the number of clusters, if they are of equal size."""
        return float(self.sizes.sum() ** 2 / (self.sizes**2).sum())

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sums over each cluster's rows: (rows, columns) to (clusters, columns)."""
        found = np.zeros((len(self), values.shape[1]))
        np.add.at(found, self.of_row, values)
        return found


class Bootstrap(BaseModel):
    """How intervals are made: *resamples* drawn with *seed*, of which the middle *confidence* counts."""

    model_config = ConfigDict(frozen=True)

    confidence: float = 0.95
    resamples: int = 2000
    seed: int = 0

    def sums(self, values: NDArray[np.float64], clusters: ResamplingClusters) -> NDArray[np.float64]:
        """Return the sums over resamples of the clusters: (rows, columns) to (resamples, columns).

        All columns are resampled together, so what is computed from several of them keeps their pairing. Resamples differ in how many rows they
        have: for a mean, divide by the sum of a column of ones.
        """
        totals = clusters.sums(values)
        return np.concatenate([weights @ totals for weights in self._weights(len(totals))])

    def interval(self, resampled: NDArray[np.float64], clusters: ResamplingClusters) -> "Interval | None":
        """Return the interval of a score whose values on the resamples are *resampled*; None: there are fewer than `FEWEST` clusters."""
        if len(clusters) < FEWEST:
            return None
        number = clusters.effective
        tail = ndtr(_stretch(number) * stdtrit(number - 1, (1 - self.confidence) / 2))
        low, high = np.quantile(resampled, [tail, 1 - tail])
        return Interval(low=float(low), high=float(high))

    def mean(self, values: NDArray[np.float64], clusters: ResamplingClusters | None = None) -> "Interval | None":
        """Return the interval of the mean of *values*, (rows,), each of them independent if no *clusters* are given; None as for `interval`."""
        clusters = clusters or ResamplingClusters.single(len(values))
        return self.interval(self._means(values, clusters), clusters)

    def confidence_above(self, values: NDArray[np.float64], limit: float, clusters: ResamplingClusters) -> float:
        """Return how sure it is that the mean of *values*, (rows,), is above *limit*: the confidence of the one-sided interval that ends there.

        It is never surer than by a sign test: n clusters agree by chance in one of 2**n cases. So four or fewer never reach 0.95.
        """
        share = float((self._means(values, clusters) > limit).mean())
        surest = 1 - 0.5 ** len(clusters)
        if len(clusters) == 1:
            return min(share, surest)
        number = clusters.effective
        return min(float(stdtr(number - 1, ndtri(share) / _stretch(number))), surest)

    def _means(self, values: NDArray[np.float64], clusters: ResamplingClusters) -> NDArray[np.float64]:
        sums = self.sums(np.column_stack([values, np.ones(len(values))]), clusters)
        means: NDArray[np.float64] = sums[:, 0] / sums[:, 1]
        return means

    def _weights(self, clusters: int) -> Iterator[NDArray[np.float64]]:
        """Yield how often each resample holds each cluster: (some resamples, clusters) at a time."""
        rng = np.random.default_rng(self.seed)
        some = max(1, _CELLS // clusters)
        for start in range(0, self.resamples, some):
            count = min(some, self.resamples - start)
            drawn = rng.integers(0, clusters, (count, clusters)) + clusters * np.arange(count)[:, np.newaxis]
            yield np.bincount(drawn.ravel(), minlength=count * clusters).reshape(count, clusters).astype(np.float64)


class Interval(BaseModel):
    """From *low* to *high*."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")

    low: float
    high: float


BOOTSTRAP = Bootstrap()
"""How the intervals of this project's scores are made."""


def _stretch(number: float) -> float:
    """Return by how much the spread of so many clusters' resamples is too small."""
    return float(np.sqrt(number / (number - 1)))
