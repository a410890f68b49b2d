"""Uncertainty of a gain: one sentence on how far the held-out posts pin it down, and what would narrow it."""

import numpy as np
from numpy.typing import NDArray

from training.evaluation.bootstrap import MIN_CLUSTERS, Bootstrap, ResamplingClusters

FEW_GROUPS = 100
"""With fewer groups of photos, the sentence says what would narrow the interval."""


def describe_gain(
    name: str, gains: NDArray[np.float64], clusters: ResamplingClusters, bootstrap: Bootstrap, *, limited: bool = False
) -> str:
    """Return a sentence about the mean of *gains*, for a person.

    Args:
        name: the score's name.
        gains: the candidate's score minus the incumbent's, shape (posts,).
        clusters: the groups of posts that depend on each other.
        bootstrap: the settings of the interval.
        limited: ``evaluation.max_samples`` leaves posts of the split out.
    """
    posts, groups, mean = len(gains), len(clusters), float(gains.mean())
    held_out = _count(posts, "held-out post")
    if groups != posts:
        held_out += f" in {_count(groups, 'independent group')}"
    change = f"{name} differs by {mean:+.3f}"
    interval = bootstrap.mean(gains, clusters) if np.isfinite(gains).all() else None
    if interval is not None:
        change += f", with a {bootstrap.confidence:.0%} interval from {interval.low:+.3f} to {interval.high:+.3f}"
    if groups >= FEW_GROUPS:
        return f"On {held_out}, {change}."
    narrower = "evaluation.max_samples=null uses all" if limited else "a tenth of all posts is held out"
    if groups < MIN_CLUSTERS:
        return (
            f"On {held_out}, {change}: so few give no interval, which takes {MIN_CLUSTERS} that are independent "
            f"({narrower})."
        )
    return (
        f"On {held_out}, {change}, which is wide because they are few: four times as many would halve it ({narrower})."
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
