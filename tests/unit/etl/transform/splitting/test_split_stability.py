"""Split stability: no sample changes its split as the corpus changes."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.transform.splitting.split import NONE, assign
from snap2caption.datasets.manifest import SPLITS, Split

pytestmark = pytest.mark.unit

IDS = st.text("abc0123456789", min_size=1, max_size=4)
# Of each sample: its id, and the name of what groups it with others.
CORPORA = st.dictionaries(IDS, st.integers(0, 8), max_size=25)
SEEDS = st.integers(0, 3)


def split_of(corpus: Mapping[str, int], seed: int, previous: Mapping[str, Split]) -> dict[str, Split]:
    """Return the split of each sample of a corpus (id to group), as `transform` asks for it: by ids in their order."""
    ids: Sequence[str] = sorted(corpus)
    first: dict[int, int] = {}
    groups = np.array([first.setdefault(corpus[id_], position) for position, id_ in enumerate(ids)], dtype=np.int64)
    earlier = [SPLITS.index(previous[id_]) if id_ in previous else NONE for id_ in ids]
    cities = np.array([len(id_) % 2 for id_ in ids], dtype=np.int64)
    numbers = assign(ids, cities, groups, seed, np.array(earlier, dtype=np.int8))
    return {id_: SPLITS[number] for id_, number in zip(ids, numbers, strict=True)}


@given(before=CORPORA, later=CORPORA, seeds=st.tuples(SEEDS, SEEDS))
def test_an_earlier_assignment_stands_however_groups_merge(
    before: dict[str, int], later: dict[str, int], seeds: tuple[int, int]
) -> None:
    earlier = split_of(before, seeds[0], {})
    # Samples come and go, and those that stay may be grouped otherwise.
    after = split_of(later, seeds[1], earlier)
    assert {id_: split for id_, split in after.items() if id_ in earlier} == {
        id_: split for id_, split in earlier.items() if id_ in after
    }


@given(corpus=CORPORA, seed=SEEDS)
def test_a_group_never_straddles(corpus: dict[str, int], seed: int) -> None:
    splits = split_of(corpus, seed, {})
    for group in set(corpus.values()):
        assert len({splits[id_] for id_, its in corpus.items() if its == group}) == 1


@given(before=CORPORA, later=CORPORA, seed=SEEDS)
def test_what_is_new_in_a_group_follows_what_was_in_it(
    before: dict[str, int], later: dict[str, int], seed: int
) -> None:
    earlier = split_of(before, seed, {})
    after = split_of(later, seed, earlier)
    for group in set(later.values()):
        members = [id_ for id_, its in later.items() if its == group]
        known = {earlier[id_] for id_ in members if id_ in earlier}
        new = {after[id_] for id_ in members if id_ not in earlier}
        assert len(new) <= 1
        if known and new:
            # The most protected one: a copy of a test sample is never trained on.
            assert new == {next(split for split in ("test", "validation", "train") if split in known)}
