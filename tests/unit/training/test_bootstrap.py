import math
import tracemalloc

import numpy as np
import pytest
from scipy import stats

from training.bootstrap import Bootstrap

pytestmark = pytest.mark.unit


def test_the_interval_of_a_mean_is_that_of_scipy():
    values = np.random.default_rng(1).exponential(size=300)
    ours = Bootstrap(resamples=4000).mean(values)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=4000, method="percentile", rng=2).confidence_interval
    # Two draws of 4,000 resamples differ by a few thousandths of the interval's place.
    assert (ours.low, ours.high) == pytest.approx(theirs, abs=0.015)
    assert ours.low < values.mean() < ours.high


def test_it_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(1)
    bootstrap = Bootstrap(resamples=1000, confidence=0.9)
    intervals = [bootstrap.mean(rng.normal(3.0, 1.0, 80)) for _ in range(1000)]
    assert 0.86 < np.mean([interval.low < 3.0 < interval.high for interval in intervals]) < 0.94


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    values = np.arange(50.0)
    assert Bootstrap().mean(values) == Bootstrap().mean(values)
    assert Bootstrap().mean(values) != Bootstrap(seed=1).mean(values)


def test_columns_are_resampled_together():
    values = np.random.default_rng(0).random((40, 1))
    sums = Bootstrap().sums(np.hstack([values, 2 * values, np.ones_like(values)]))
    assert sums.shape == (2000, 3)
    assert sums[:, 1] == pytest.approx(2 * sums[:, 0])
    # Each resample has as many rows as there are.
    assert set(sums[:, 2]) == {40.0}


def test_what_is_not_a_number_stays_so():
    interval = Bootstrap().mean(np.array([1.0, math.nan, 2.0]))
    assert math.isnan(interval.low)


def test_memory_does_not_grow_with_rows_times_resamples():
    values = np.ones((50_000, 1))
    tracemalloc.start()
    try:
        Bootstrap(resamples=300).sums(values)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # At once they would take 120 MB.
    assert peak < 80e6
