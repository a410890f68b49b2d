import math

import pytest
from PIL import Image

from snap2caption.vlm import Decoding
from training import latency
from training.data import CachedDataset
from training.latency import Latency, compare_latency

pytestmark = pytest.mark.unit


class Clock:
    """Stands still until somebody works."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


class Model:
    """Takes the seconds of *takes* for its captions, over and over, and seconds to prepare."""

    def __init__(self, name, clock, calls, takes):
        self.name, self.clock, self.calls, self.takes = name, clock, calls, takes
        self.written = 0

    def prepare(self):
        self.calls.append(f"prepare {self.name}")
        self.clock.now += 5.0

    def write(self, photo, prompt, decoding):
        assert isinstance(photo, Image.Image)
        assert prompt
        assert decoding == Decoding(max_new_tokens=7)
        self.calls.append(f"write {self.name}")
        self.clock.now += self.takes[self.written % len(self.takes)]
        self.written += 1


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(latency, "time", clock)
    return clock


@pytest.fixture
def samples(dataset: CachedDataset):
    return dataset.samples("test")[:2]


def test_they_take_turns_and_each_is_prepared(clock, samples):
    calls = []
    compare_latency(Model("a", clock, calls, [1.0]), Model("b", clock, calls, [2.0]), samples, 7, "cpu")
    assert calls[::2] == [call.replace("write", "prepare") for call in calls[1::2]]
    turns = [call[-1] for call in calls[1::2]]
    assert turns[:2] == ["a", "b"], "once each to warm up"
    pairs = ["".join(turns[index : index + 2]) for index in range(2, len(turns), 2)]
    assert pairs == ["ab", "ba", "ba", "ab", "ab", "ba"]


def test_what_else_the_machine_does_for_a_while_is_left_out(clock, samples):
    # The first caption warms up; then two photos a round. Something disturbs the candidate in the first two rounds.
    slow_at_first = Model("a", clock, [], [30.0, 9.0, 9.0, 1.0, 8.0, 7.0, 2.0])
    measured = compare_latency(slow_at_first, Model("b", clock, [], [3.0]), samples, 7, "cpu")
    assert measured.candidate == (1.0, 2.0)
    assert measured.incumbent == (3.0, 3.0)
    assert measured.medians() == (1.5, 3.0)
    assert measured.photos == tuple(sample.id for sample in samples)


def test_a_number_that_is_none_survives_being_stored():
    measured = Latency(device="cpu", photos=("a",), rounds=1, candidate=(math.nan,), incumbent=(math.inf,))
    stored = Latency.model_validate_json(measured.model_dump_json())
    assert math.isnan(stored.candidate[0])
    assert math.isinf(stored.incumbent[0])
