import math
import tracemalloc

import numpy as np
import pytest
from scipy import stats

from training.evaluation.bootstrap import MIN_CLUSTERS, Bootstrap, ResamplingClusters

pytestmark = pytest.mark.unit

MIXED = [1, 1, 2, 3, 5, 8, 12]


def clusters_of(sizes: list[int]) -> ResamplingClusters:
    return ResamplingClusters(np.repeat(np.arange(len(sizes)), sizes), np.array(sizes))


def simulate(sizes: list[int], correlation: float, repetitions: int) -> np.ndarray:
    """Return data sets whose true mean is 0, a column each; rows of one cluster are so correlated."""
    rng = np.random.default_rng(1)
    shared = rng.normal(size=(len(sizes), repetitions))[np.repeat(np.arange(len(sizes)), sizes)]
    own = rng.normal(size=(sum(sizes), repetitions))
    return np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own


def coverage(data: np.ndarray, clusters: ResamplingClusters) -> float:
    """Return how often the 95 % interval of a column's mean holds the true mean; the draws are the same for all
    columns, as for all scores.
    """
    bootstrap = Bootstrap()
    sums = bootstrap.sums(np.hstack([data, np.ones((len(data), 1))]), clusters)
    intervals = [bootstrap.interval(means, clusters) for means in (sums[:, :-1] / sums[:, -1:]).T]
    return float(np.mean([interval.low < 0 < interval.high for interval in intervals]))


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
@pytest.mark.parametrize(
    "sizes", [[5] * MIN_CLUSTERS, [5] * 40, MIXED * 8], ids=["the fewest", "40", "56 of mixed sizes"]
)
def test_the_interval_holds_the_truth_in_94_to_96_of_100_cases(sizes, correlation):
    assert 0.94 <= coverage(simulate(sizes, correlation, 2000), clusters_of(sizes)) <= 0.96


def test_single_photos_would_be_far_too_sure():
    sizes = [5] * 40
    assert coverage(simulate(sizes, 0.5, 500), ResamplingClusters.single(sum(sizes))) < 0.8


@pytest.mark.parametrize("sizes", [[5] * 12, MIXED * 6], ids=["12", "42 of mixed sizes"])
def test_a_gain_that_is_none_passes_for_one_as_often_as_it_may(sizes):
    data, clusters = simulate(sizes, 0.5, 1000), clusters_of(sizes)
    sure = [Bootstrap(resamples=500).confidence_above(column, 0.0, clusters) >= 0.95 for column in data.T]
    assert 0.03 < np.mean(sure) < 0.07


@pytest.mark.parametrize("number", range(1, 9))
def test_few_groups_are_never_surer_than_a_sign_test(number):
    clusters = clusters_of([3] * number)
    confidence = Bootstrap().confidence_above(np.ones(3 * number), 0.0, clusters)
    assert confidence == 1 - 0.5**number
    assert (confidence >= 0.95) is (number >= 5)


def test_too_few_groups_have_no_interval():
    values = np.random.default_rng(0).random(10 * MIN_CLUSTERS)
    assert Bootstrap().mean(values, clusters_of([10] * MIN_CLUSTERS)) is not None
    assert Bootstrap().mean(values, clusters_of([10] * (MIN_CLUSTERS - 2) + [20])) is None


def test_groups_count_for_as_many_as_their_sizes_are_equal():
    assert clusters_of([4] * 30).effective == pytest.approx(30)
    assert clusters_of([1] * 30 + [30]).effective == pytest.approx(60**2 / 930)
    named = ResamplingClusters.named(["b", "a", "b", "c", "b"])
    assert sorted(named.sizes) == [1, 1, 3]
    assert named.sums(np.array([[1.0], [2], [3], [4], [5]])).ravel().tolist() == [2, 9, 4]


def test_the_interval_of_a_mean_of_many_is_that_of_scipy():
    values = np.random.default_rng(1).exponential(size=300)
    ours = Bootstrap(resamples=4000).mean(values)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=4000, method="percentile", rng=2).confidence_interval
    # Two draws of 4,000 resamples differ by a few thousandths of the interval's place.
    assert (ours.low, ours.high) == pytest.approx(theirs, abs=0.015)
    assert ours.low < values.mean() < ours.high


def test_the_same_seed_gives_the_same_interval():
    values = np.arange(50.0)
    assert Bootstrap().mean(values) == Bootstrap().mean(values)
    assert Bootstrap().mean(values) != Bootstrap(seed=1).mean(values)


def test_columns_are_resampled_together():
    values = np.random.default_rng(0).random((40, 1))
    sums = Bootstrap().sums(np.hstack([values, 2 * values, np.ones_like(values)]), clusters_of([2] * 20))
    assert sums.shape == (2000, 3)
    assert sums[:, 1] == pytest.approx(2 * sums[:, 0])
    # Each resample has as many groups as there are.
    assert set(sums[:, 2]) == {40.0}


def test_what_is_not_a_number_stays_so():
    values = np.array([1.0, math.nan, *range(20)])
    assert math.isnan(Bootstrap().mean(values).low)
    assert Bootstrap().confidence_above(values, 0.0, ResamplingClusters.single(22)) == 0.0


def test_memory_does_not_grow_with_rows_times_resamples():
    values = np.ones((50_000, 1))
    tracemalloc.start()
    try:
        Bootstrap(resamples=300).sums(values, ResamplingClusters.single(50_000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # At once they would take 120 MB.
    assert peak < 80e6
