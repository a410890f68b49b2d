"""A part of a split that stands for all of it."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snap2caption.datasets.shards import Sample
from snap2caption.post import Post
from training.data.subset import subset

pytestmark = pytest.mark.unit


def samples(sizes: dict[str, int], in_a_group: int = 1) -> list[Sample]:
    return [
        Sample(f"{city}-{number}", city, Post("Fog."), b"", group=f"{city}-{number // in_a_group}")
        for city, size in sizes.items()
        for number in range(size)
    ]


def cities(found: list[Sample]) -> dict[str, int]:
    return dict(Counter(sample.city for sample in found))


def test_a_small_split_is_taken_whole() -> None:
    everything = samples({"chicago": 3, "paris": 2})
    assert subset(everything, 5) == subset(everything, None) == subset(everything, 99) == everything


def test_cities_have_their_shares() -> None:
    assert cities(subset(samples({"chicago": 600, "newyork": 300, "paris": 100}), 50)) == {
        "chicago": 30,
        "newyork": 15,
        "paris": 5,
    }


def test_each_group_sends_one_before_any_sends_a_second() -> None:
    found = subset(samples({"chicago": 400}, in_a_group=4), 100)
    assert len({sample.group for sample in found}) == 100
    assert max(Counter(sample.group for sample in subset(samples({"chicago": 400}, in_a_group=4), 150)).values()) == 2


def test_it_is_the_same_whatever_the_order_and_the_rest() -> None:
    everything = samples({"chicago": 60, "paris": 40})
    found = subset(everything, 20)
    assert [everything.index(sample) for sample in found] == sorted(everything.index(sample) for sample in found)
    assert {sample.id for sample in subset(everything[::-1], 20)} == {sample.id for sample in found}
    # It does not depend on where the ids begin: no city's first photos, which are of one day, stand for the city.
    assert {sample.id for sample in found} != {f"chicago-{number}" for number in range(12)} | {
        f"paris-{number}" for number in range(8)
    }


@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.integers(1, 60))
def test_shares_are_right_to_a_seat(sizes: list[int], most: int) -> None:
    named = {f"city{number}": size for number, size in enumerate(sizes)}
    found = subset(samples(named), most)
    assert len(found) == min(most, sum(sizes))
    for city, size in named.items():
        assert abs(cities(found).get(city, 0) - size * len(found) / sum(sizes)) <= 1 + 1e-9 or len(sizes) > 2
