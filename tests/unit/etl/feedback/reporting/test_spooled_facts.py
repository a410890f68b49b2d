import random
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from etl.feedback.record_facts import RecordFacts
from etl.feedback.reporting.spooled_facts import SpooledFacts
from snap2caption.feedback import Reason
from snap2caption.post import Tone

pytestmark = pytest.mark.unit

START = datetime(2026, 11, 24, 12, 0, 0, 123457, tzinfo=UTC)


def some_facts(number: int) -> Iterator[tuple[str, RecordFacts]]:
    chance = random.Random(0)
    for index in range(number):
        received = START + timedelta(seconds=chance.randrange(number))
        edited = chance.random() < 0.3
        yield (
            f"records/{received:%Y-%m-%d}/{index:032x}.json",
            RecordFacts(
                received=received,
                creator=f"creator {chance.randrange(7)}",
                caption=chance.choice([None, *(f"caption {number}" for number in range(9))]),
                rating=chance.choice([None, 1, 5]),
                reason=chance.choice([None, *Reason]),
                flagged=chance.random() < 0.2,
                edited=edited,
                distance=chance.choice([None, chance.random()]),
                version=f"snap2caption/{chance.randrange(3)}",
                tone=chance.choice([None, *Tone]),
            ),
        )


def test_of_ratings_of_one_caption_the_latest_counts() -> None:
    given = dict(some_facts(200))
    last: dict[str, str] = {}
    for key, one in sorted(given.items(), key=lambda item: (item[1].received, item[0].rpartition("/")[2])):
        if one.caption is not None and one.rating is not None:
            last[one.caption] = key
    expected = [
        one if one.caption is None or last[one.caption] == key else replace(one, rating=None)
        for key, one in given.items()
    ]
    with closing(SpooledFacts(iter(given.items()))) as facts:
        assert sorted(facts.rated_once(), key=repr) == sorted(expected, key=repr)
        assert facts.creators() == 7
        edits = facts.newest_edits(5)
    newest = sorted(
        (key for key in given if given[key].edited), key=lambda key: (-given[key].received.timestamp(), key)
    )
    assert edits == newest[:5]


def test_memory_does_not_grow_with_the_records() -> None:
    peaks = []
    for number in (500, 5000):
        tracemalloc.start()
        with closing(SpooledFacts(some_facts(number))) as facts:
            assert sum(1 for _ in facts.rated_once()) == number
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0]
