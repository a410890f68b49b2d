"""How far a score would move on other photos of the same kind: percentile bootstrap.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

_CELLS = 1 << 21
"""Captions times resamples that are in memory at a time; each takes 24 bytes."""


class Bootstrap(BaseModel):
    """How intervals are made: *resamples* drawn with *seed*, of which the middle *confidence* counts."""

    model_config = ConfigDict(frozen=True)

    confidence: float = 0.95
    resamples: int = 2000
    seed: int = 0

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sums over resamples of the rows: (rows, columns) to (resamples, columns).

        All columns are resampled together, so what is computed from several of them keeps their pairing.
        """
        return np.concatenate([weights @ values for weights in self._weights(len(values))])

    def interval(self, resampled: NDArray[np.float64]) -> "Interval":
        """Return the interval of a score whose values on the resamples are *resampled*."""
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(resampled, [tail, 1 - tail])
        return Interval(low=float(low), high=float(high))

    def mean(self, values: NDArray[np.float64]) -> "Interval":
        """Return the interval of the mean of *values*."""
        return self.interval(self.sums(values[:, np.newaxis])[:, 0] / len(values))

    def _weights(self, rows: int) -> Iterator[NDArray[np.float64]]:
        """Yield how often each resample holds each row: (some resamples, rows) at a time."""
        rng = np.random.default_rng(self.seed)
        some = max(1, _CELLS // rows)
        for start in range(0, self.resamples, some):
            count = min(some, self.resamples - start)
            drawn = rng.integers(0, rows, (count, rows)) + rows * np.arange(count)[:, np.newaxis]
            yield np.bincount(drawn.ravel(), minlength=count * rows).reshape(count, rows).astype(np.float64)


class Interval(BaseModel):
    """From *low* to *high*."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")

    low: float
    high: float


BOOTSTRAP = Bootstrap()
"""How the intervals of this project's scores are made."""
