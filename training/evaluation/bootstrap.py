"""Confidence intervals: cluster bootstrap with expanded percentile intervals.

They say how far a score would move on other photos of the same kind. Near-duplicates come in groups, and a group's
photos say little more than one of them, so whole groups are drawn, with all their photos. Percentile intervals of
few groups are too narrow: for a mean, they lack Student's t and the factor n / (n - 1). Both are therefore built
into the level at which percentiles are taken. n is the effective number of groups: groups of unequal sizes count
for fewer.

Sources: Field and Welsh, "Bootstrapping clustered data", J. R. Stat. Soc. B, 2007; Hesterberg, "What Teachers
Should Know About the Bootstrap", The American Statistician, 2015 (expanded percentiles); Kish, "Survey Sampling",
1965 (effective number).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.special import ndtr, ndtri, stdtr, stdtrit

MIN_CLUSTERS = 10
"""Smallest number of clusters for an interval. With fewer, percentiles do not reach far enough at any level."""

_CELLS = 1 << 21
"""Groups times resamples held in memory at a time; each takes 24 bytes."""


@dataclass(frozen=True, slots=True)
class ResamplingClusters:
    """Assignment of rows to clusters.

    *of_row*, shape (rows,), is each row's cluster number, from 0; *sizes*, shape (clusters,), is the number of rows
    in each cluster.
    """

    of_row: NDArray[np.intp]
    sizes: NDArray[np.intp]

    @classmethod
    def named(cls, names: Sequence[str]) -> "ResamplingClusters":
        """Return clusters of the rows that have the same name."""
        _, of_row, sizes = np.unique(np.array(names), return_inverse=True, return_counts=True)
        return cls(of_row, sizes)

    @classmethod
    def single(cls, rows: int) -> "ResamplingClusters":
        """Return one cluster per row."""
        return cls(np.arange(rows), np.ones(rows, dtype=np.intp))

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def effective(self) -> float:
        """Effective number of clusters: how many of equal size carry the same information.

        It is the number of clusters if their sizes are equal.
        """
        return float(self.sizes.sum() ** 2 / (self.sizes**2).sum())

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sums over each cluster's rows: (rows, columns) to (clusters, columns)."""
        found = np.zeros((len(self), values.shape[1]))
        np.add.at(found, self.of_row, values)
        return found


class Bootstrap(BaseModel):
    """Settings of the bootstrap: *resamples* drawn with *seed*; intervals cover the middle *confidence* of them."""

    model_config = ConfigDict(frozen=True)

    confidence: float = 0.95
    resamples: int = 2000
    seed: int = 0

    def sums(self, values: NDArray[np.float64], clusters: ResamplingClusters) -> NDArray[np.float64]:
        """Return the sums over resamples of the clusters: (rows, columns) to (resamples, columns).

        All columns are resampled together, so scores computed from several columns stay paired. Resamples differ in
        their number of rows: for a mean, divide by the sum of a column of ones.
        """
        totals = clusters.sums(values)
        return np.concatenate([weights @ totals for weights in self._weights(len(totals))])

    def interval(self, resampled: NDArray[np.float64], clusters: ResamplingClusters) -> "Interval | None":
        """Return the interval of a score from its values on the resamples, *resampled*.

        Return None if there are fewer than `MIN_CLUSTERS` clusters.
        """
        if len(clusters) < MIN_CLUSTERS:
            return None
        number = clusters.effective
        tail = ndtr(_stretch(number) * stdtrit(number - 1, (1 - self.confidence) / 2))
        low, high = np.quantile(resampled, [tail, 1 - tail])
        return Interval(low=float(low), high=float(high))

    def mean(self, values: NDArray[np.float64], clusters: ResamplingClusters | None = None) -> "Interval | None":
        """Return the interval of the mean of *values*, shape (rows,); None as for `interval`.

        Without *clusters*, every value is independent.
        """
        clusters = clusters or ResamplingClusters.single(len(values))
        return self.interval(self._means(values, clusters), clusters)

    def confidence_above(self, values: NDArray[np.float64], limit: float, clusters: ResamplingClusters) -> float:
        """Return the confidence that the mean of *values*, shape (rows,), is above *limit*.

        It is the confidence of the one-sided interval that ends at *limit*. It never exceeds that of a sign test: n
        clusters agree by chance in one of 2**n cases. So four or fewer never reach 0.95.
        """
        share = float((self._means(values, clusters) > limit).mean())
        ceiling = 1 - 0.5 ** len(clusters)
        if len(clusters) == 1:
            return min(share, ceiling)
        number = clusters.effective
        return min(float(stdtr(number - 1, ndtri(share) / _stretch(number))), ceiling)

    def _means(self, values: NDArray[np.float64], clusters: ResamplingClusters) -> NDArray[np.float64]:
        sums = self.sums(np.column_stack([values, np.ones(len(values))]), clusters)
        means: NDArray[np.float64] = sums[:, 0] / sums[:, 1]
        return means

    def _weights(self, clusters: int) -> Iterator[NDArray[np.float64]]:
        """Yield how often each resample contains each cluster, in chunks of shape (resamples, clusters)."""
        rng = np.random.default_rng(self.seed)
        chunk = max(1, _CELLS // clusters)
        for start in range(0, self.resamples, chunk):
            count = min(chunk, self.resamples - start)
            drawn = rng.integers(0, clusters, (count, clusters)) + clusters * np.arange(count)[:, np.newaxis]
            yield np.bincount(drawn.ravel(), minlength=count * clusters).reshape(count, clusters).astype(np.float64)


class Interval(BaseModel):
    """A confidence interval from *low* to *high*."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")

    low: float
    high: float


BOOTSTRAP = Bootstrap()
"""The bootstrap settings of this project's scores."""


def _stretch(number: float) -> float:
    """Return the factor by which the spread of the resamples of *number* clusters is too small."""
    return float(np.sqrt(number / (number - 1)))
