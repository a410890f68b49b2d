from itertools import pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snap2caption.registry.champion_log import Decision, valid

pytestmark = pytest.mark.unit


def decision(number, follows):
    return Decision(champion=number, previous=None, follows=follows, number=number)


FIRST, SECOND, LATE, THIRD = decision(1, 0), decision(2, 1), decision(3, 1), decision(4, 2)


def test_of_two_made_upon_the_same_one_the_later_is_void():
    assert list(valid([FIRST, SECOND, LATE, THIRD])) == [FIRST, SECOND, THIRD]


def test_one_made_upon_a_void_one_is_void():
    assert list(valid([FIRST, SECOND, LATE, decision(5, 3)])) == [FIRST, SECOND]


def test_readers_agree_in_whatever_order_they_read():
    for order in permutations([FIRST, SECOND, LATE, THIRD]):
        assert list(valid(order)) == [FIRST, SECOND, THIRD]


@given(st.lists(st.integers(0, 12), max_size=12))
def test_what_held_once_holds_for_ever(upon):
    """Whatever is appended, made upon whichever decision: nothing that held is taken back, and the chain is whole."""
    decisions = [decision(number, min(follows, number - 1)) for number, follows in enumerate(upon, 1)]
    held = [list(valid(decisions[:count])) for count in range(len(decisions) + 1)]
    for before, after in pairwise(held):
        assert after[: len(before)] == before
    assert [made.follows for made in held[-1]] == [0, *(made.number for made in held[-1])][: len(held[-1])]
