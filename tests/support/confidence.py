"""What so many trials show: a model is judged by an interval of its rate, not by the rate that a few photos happened
to give.
"""

from scipy import stats

_CONFIDENCE = 0.99


def rate_interval(successes: int, trials: int) -> tuple[float, float]:
    """Return the Wilson score interval of a rate, at 99 %."""
    interval = stats.binomtest(successes, trials).proportion_ci(_CONFIDENCE, method="wilson")
    return interval.low, interval.high


def is_more(successes: int, trials: int, rate: float) -> bool:
    """Whether the trials show that the true rate is above *rate*: all of the interval is."""
    return rate_interval(successes, trials)[0] > rate


def is_less(successes: int, trials: int, rate: float) -> bool:
    """Whether the trials show that the true rate is below *rate*: all of the interval is."""
    return rate_interval(successes, trials)[1] < rate
