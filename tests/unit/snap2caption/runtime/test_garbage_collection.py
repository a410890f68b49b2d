"""Garbage collection: rare where objects stay, and not rare enough to let garbage pile up."""

import gc
from collections.abc import Iterator
from typing import Any

import pytest

from snap2caption.runtime.garbage_collection import THRESHOLDS, collect_less

pytestmark = pytest.mark.unit


@pytest.fixture
def collections() -> Iterator[list[dict[str, Any]]]:
    """The collections since the test began, under the usual thresholds until it changes them."""
    before, seen = gc.get_threshold(), []

    def note(phase: str, info: dict[str, Any]) -> None:
        if phase == "stop":
            seen.append(info)

    gc.callbacks.append(note)
    gc.set_threshold(700, 10, 10)
    gc.collect()
    seen.clear()
    yield seen
    gc.callbacks.remove(note)
    gc.set_threshold(*before)


def test_objects_that_stay_are_looked_through_rarely(collections: list[dict[str, Any]]) -> None:
    kept = [[] for _ in range(30_000)]
    assert len(collections) > 10
    collections.clear()
    collect_less()
    kept += [[] for _ in range(30_000)]
    assert len(kept) == 60_000
    assert len(collections) < 5


def test_garbage_is_still_found(collections: list[dict[str, Any]]) -> None:
    collect_less()
    for _ in range(3 * THRESHOLDS[0]):
        one: list[Any] = []
        one.append(one)
    assert sum(info["collected"] for info in collections) > THRESHOLDS[0]
