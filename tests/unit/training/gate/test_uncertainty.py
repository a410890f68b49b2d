import re

import numpy as np
import pytest

from training.evaluation.bootstrap import BOOTSTRAP, ResamplingClusters
from training.gate.uncertainty import describe_gain

pytestmark = pytest.mark.unit


def describe(posts: int, *, copies: int = 1, limited: bool = False) -> str:
    gains = np.random.default_rng(0).normal(0.5, 0.4, posts // copies).repeat(copies)
    clusters = ResamplingClusters.named([str(number // copies) for number in range(posts)])
    return describe_gain("CIDEr", gains, clusters, BOOTSTRAP, limited=limited)


def width(sentence: str) -> float:
    low, high = map(float, re.search(r"interval from (\S+) to ([^\s,]+[0-9])", sentence).groups())
    return high - low


def test_few_posts_have_a_wide_interval_and_what_narrows_it():
    sentence = describe(20)
    assert re.fullmatch(
        r"On 20 held-out posts, CIDEr differs by \+0\.\d+, with a 95% interval from \+0\.\d+ to \+0\.\d+, "
        r"which is wide because they are few: four times as many would halve it \(a tenth of all posts is held out\)\.",
        sentence,
    )


def test_four_times_as_many_posts_do_halve_it():
    assert width(describe(80)) == pytest.approx(width(describe(20)) / 2, rel=0.25)


def test_copies_are_counted_once():
    assert describe(40, copies=2).startswith("On 40 held-out posts in 20 independent groups, ")
    assert width(describe(80, copies=4)) == pytest.approx(width(describe(20)), abs=0.002)


def test_too_few_for_an_interval_are_told():
    assert describe(9).endswith(
        "so few give no interval, which takes 10 that are independent (a tenth of all posts is held out)."
    )
    assert describe(1).startswith("On 1 held-out post, ")


def test_many_posts_need_no_advice():
    assert describe(100).endswith(".")
    assert "wide" not in describe(100)


def test_posts_that_were_left_out_are_named():
    assert "(evaluation.max_samples=null uses all)" in describe(20, limited=True)


def test_a_gain_that_is_no_number_has_no_interval():
    gains = np.full(200, np.nan)
    sentence = describe_gain("CIDEr", gains, ResamplingClusters.single(200), BOOTSTRAP)
    assert sentence == "On 200 held-out posts, CIDEr differs by +nan."
