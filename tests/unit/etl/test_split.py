from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from etl.transform import split
from snap2caption.manifest import SPLITS, Split

pytestmark = pytest.mark.unit


def assign(ids: Sequence[str], groups: Sequence[int], seed: int, previous: Mapping[str, Split]) -> list[Split]:
    earlier = [SPLITS.index(previous[id_]) if id_ in previous else split.NONE for id_ in ids]
    found = split.assign(ids, np.array(groups), seed, np.array(earlier, dtype=np.int8))
    return [SPLITS[number] for number in found]


def test_shares_are_80_10_10() -> None:
    ids = [str(i) for i in range(20_000)]
    counts = Counter(assign(ids, list(range(20_000)), 0, {}))
    assert counts["train"] / 20_000 == pytest.approx(0.8, abs=0.01)
    assert counts["validation"] / 20_000 == pytest.approx(0.1, abs=0.01)


def test_a_sample_keeps_its_split_when_the_corpus_grows() -> None:
    ids = [f"{i:05d}" for i in range(1000)]
    before = dict(zip(ids, assign(ids, list(range(1000)), 3, {}), strict=True))
    more = sorted([*ids, *(f"{i:05d}x" for i in range(1000))])
    after = dict(zip(more, assign(more, list(range(2000)), 3, before), strict=True))
    assert all(after[id_] == before[id_] for id_ in ids)


def test_a_new_copy_of_a_test_sample_goes_to_test_and_nothing_known_moves() -> None:
    splits = assign(["a", "b", "c"], [0, 0, 0], 0, {"b": "test", "c": "train"})
    assert splits == ["test", "test", "train"]


def test_another_seed_gives_another_split() -> None:
    ids = [str(i) for i in range(100)]
    assert assign(ids, list(range(100)), 0, {}) != assign(ids, list(range(100)), 1, {})
