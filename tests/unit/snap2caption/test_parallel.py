import threading
from collections.abc import Iterator

import pytest

from snap2caption.parallel import interleave

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("threads", [1, 2, 3, 9])
def test_sources_take_turns(threads: int) -> None:
    sources = [iter(range(start, start + size)) for start, size in ((0, 3), (10, 0), (20, 1), (30, 5))]
    found = list(interleave(sources, threads))
    assert sorted(found) == [0, 1, 2, 20, 30, 31, 32, 33, 34]
    again = [iter(range(start, start + size)) for start, size in ((0, 3), (10, 0), (20, 1), (30, 5))]
    assert list(interleave(again, threads)) == found


def test_sources_run_at_the_same_time() -> None:
    met = threading.Barrier(2, timeout=30)

    def source() -> Iterator[int]:
        yield met.wait()

    assert sorted(interleave([source(), source()], 2)) == [0, 1]


def test_no_source_is_started_before_its_turn() -> None:
    started: list[int] = []

    def source(number: int) -> Iterator[int]:
        started.append(number)
        yield number

    found = interleave(map(source, range(100)), 2)
    assert next(found) == 0
    assert set(started) <= {0, 1}


def test_an_error_ends_them_all() -> None:
    def source(number: int) -> Iterator[int]:
        yield number
        raise ValueError(f"source {number}")

    with pytest.raises(ValueError, match="source 0"):
        list(interleave(map(source, range(5)), 2))
