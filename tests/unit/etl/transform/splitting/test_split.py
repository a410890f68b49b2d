from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from etl.transform.splitting import split
from snap2caption.datasets.manifest import SPLITS, CorpusSource, File, Manifest, Split, SplitSummary

pytestmark = pytest.mark.unit


def assign(
    ids: Sequence[str],
    groups: Sequence[int],
    seed: int = 0,
    previous: Mapping[str, Split] | None = None,
    cities: Sequence[int] | None = None,
) -> list[Split]:
    known = previous or {}
    earlier = [SPLITS.index(known[id_]) if id_ in known else split.NONE for id_ in ids]
    where = np.array(cities if cities is not None else [0] * len(ids), dtype=np.int64)
    found = split.assign(ids, where, np.array(groups, dtype=np.int64), seed, np.array(earlier, dtype=np.int8))
    return [SPLITS[number] for number in found]


def grouped(sizes: Sequence[int]) -> list[int]:
    """The groups of samples that lie beside each other, so many in each."""
    return [first for first, size in zip(np.cumsum([0, *sizes[:-1]]), sizes, strict=True) for _ in range(size)]


@pytest.mark.parametrize("size", [50, 120, 350, 1001])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_shares_are_80_10_10_to_a_sample_in_each_city(size: int, seed: int) -> None:
    cities = [number % 3 for number in range(3 * size)]
    found = assign([str(number) for number in range(3 * size)], list(range(3 * size)), seed, cities=cities)
    counts = Counter(zip(cities, found, strict=True))
    for city in range(3):
        assert counts[city, "test"] == counts[city, "validation"] == int(0.1 * size + 0.5)


@pytest.mark.parametrize("seed", range(5))
def test_groups_that_span_cities_leave_the_shares(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Half of the first city is one picture, which can go nowhere but to train.
    sizes = [200, *rng.integers(1, 20, 80).tolist(), *[1] * 300]
    groups = grouped(sizes)
    cities = [0] * 200 + rng.integers(0, 2, len(groups) - 200).tolist()
    found = assign([str(rng.integers(1 << 40)) for _ in groups], groups, seed, cities=cities)
    assert all(len({found[other] for other in range(len(groups)) if groups[other] == one}) == 1 for one in set(groups))
    for city in (0, 1):
        counts = Counter(where for where, of in zip(found, cities, strict=True) if of == city)
        for name, share in split.SHARES.items():
            assert counts[name] / counts.total() == pytest.approx(share, abs=split.TOLERANCE)


def test_a_sample_keeps_its_split_when_the_corpus_grows() -> None:
    ids = [f"{i:05d}" for i in range(1000)]
    before = dict(zip(ids, assign(ids, list(range(1000)), 3), strict=True))
    more = sorted([*ids, *(f"{i:05d}x" for i in range(1000))])
    after = dict(zip(more, assign(more, list(range(2000)), 3, before), strict=True))
    assert all(after[id_] == before[id_] for id_ in ids)
    assert Counter(after.values()) == {"train": 1600, "validation": 200, "test": 200}


@pytest.mark.parametrize("grown", [1050, 2000, 10_000])
def test_without_a_record_none_moves_from_test_to_train(grown: int) -> None:
    ids = [f"{(i * 7919) % 1_000_003:07d}" for i in range(grown)]
    before, after = (
        dict(zip(sorted(some), assign(sorted(some), list(range(len(some)))), strict=True)) for some in (ids[:1000], ids)
    )
    moved = Counter((before[id_], after[id_]) for id_ in before if before[id_] != after[id_])
    assert moved["test", "train"] == 0
    assert moved.total() <= 0.06 * 1000


def test_a_new_copy_of_a_test_sample_goes_to_test() -> None:
    splits = assign(["a", "b", "c"], [0, 0, 0], 0, {"b": "test", "c": "train"})
    assert splits == ["test", "test", "train"]


def test_another_seed_gives_another_split() -> None:
    ids = [str(i) for i in range(100)]
    assert assign(ids, list(range(100)), 0) != assign(ids, list(range(100)), 1)


def manifest(**cities: tuple[int, int, int]) -> Manifest:
    """A manifest of cities with so many samples in each split."""
    return Manifest(
        version="0123456789ab",
        source=CorpusSource(urls=(), sha256="0" * 64),
        settings={},
        dropped={},
        splits={
            name: SplitSummary(
                samples=sum(counts[place] for counts in cities.values()),
                cities={city: counts[place] for city, counts in cities.items() if counts[place]},
                shards=(),
            )
            for place, name in enumerate(SPLITS)
        },
        hashtags=File(name="hashtags.parquet", sha256="0" * 64, bytes=0),
    )


def test_shares_that_are_off_are_told() -> None:
    assert split.find_imbalances(manifest(chicago=(280, 35, 35), newyork=(82, 9, 9))) == []
    (sentence,) = split.find_imbalances(manifest(chicago=(280, 35, 35), newyork=(75, 12, 13)))
    assert "newyork" in sentence
    assert "of its 100 samples, train 75.0 %, validation 12.0 %, test 13.0 %" in sentence
    # Of so few, one sample is more than two points.
    assert split.find_imbalances(manifest(chicago=(9, 1, 2))) == []


def test_an_empty_split_is_told() -> None:
    (sentence,) = split.find_imbalances(manifest(chicago=(4, 1, 0)))
    assert "The split test is empty" in sentence
