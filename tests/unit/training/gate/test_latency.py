import math
import statistics

import pytest
from PIL import Image

from training.data.samples import CachedDataset
from training.gate import latency
from training.gate.latency import TOKENS, LatencyComparison, ModelTimings, compare_latency

pytestmark = pytest.mark.unit


HERE = {"device": "cpu", "precision": "float32", "clock": "wall time"}


class Clock:
    """Stands still until somebody works."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


class Model:
    """Takes *first* seconds for a first token and *each* for one after that, times those of *factors*, photo by
    photo; and seconds to prepare.
    """

    def __init__(self, name, clock, calls, first, each, factors=(1.0,)):
        self.name, self.clock, self.calls, self.first, self.each, self.factors = (
            name,
            clock,
            calls,
            first,
            each,
            factors,
        )
        self.written = 0

    def prepare(self):
        self.calls.append(f"prepare {self.name}")
        self.clock.now += 5.0

    def write(self, photo, prompt, tokens, on_token):
        assert isinstance(photo, Image.Image)
        assert prompt
        self.calls.append(f"write {self.name}")
        factor = self.factors[self.written % len(self.factors)]
        for token in range(tokens):
            self.clock.now += factor * (self.each if token else self.first)
            on_token()
        # What it does once the last token is there is not a token's time.
        self.clock.now += 3.0
        self.written += 1


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setitem(latency._CLOCKS, "wall time", clock.perf_counter)
    return clock


@pytest.fixture
def samples(dataset: CachedDataset):
    return dataset.samples("test")[:2]


def test_they_take_turns_and_each_is_prepared(clock, samples):
    calls = []
    pair = (Model(name, clock, calls, 1.0, 0.1) for name in "ab")
    compare_latency(*pair, samples, **HERE)
    assert calls[::2] == [call.replace("write", "prepare") for call in calls[1::2]]
    turns = [call[-1] for call in calls[1::2]]
    assert turns[:2] == ["a", "b"], "once each to warm up"
    pairs = ["".join(turns[index : index + 2]) for index in range(2, len(turns), 2)]
    assert pairs == ["ab", "ba", "ba", "ab", "ab", "ba"]


def test_the_first_token_and_those_after_it_are_told_apart(clock, samples):
    pair = (Model("a", clock, [], 2.0, 0.25), Model("b", clock, [], 1.0, 0.125))
    measured = compare_latency(*pair, samples, **HERE)
    assert measured.to_first_token() == (2.0, 1.0)
    assert measured.per_output_token() == (0.25, 0.125)
    assert measured.photos == tuple(sample.id for sample in samples)
    assert (measured.tokens, measured.precision) == (TOKENS, "float32")


def test_what_else_the_machine_does_for_a_while_is_left_out(clock, samples):
    # The first caption warms up; then two photos a round. Something disturbs the candidate in the first two rounds.
    disturbed = Model("a", clock, [], 1.0, 0.5, factors=(30.0, 9.0, 9.0, 1.0, 8.0, 7.0, 2.0))
    measured = compare_latency(disturbed, Model("b", clock, [], 3.0, 0.25), samples, **HERE)
    assert measured.candidate == ModelTimings(to_first_token=(1.0, 2.0), per_output_token=(0.5, 1.0))
    assert measured.incumbent == ModelTimings(to_first_token=(3.0, 3.0), per_output_token=(0.25, 0.25))
    assert measured.per_output_token() == (statistics.median([0.5, 1.0]), 0.25)


def test_a_number_that_is_none_survives_being_stored():
    broken = ModelTimings(to_first_token=(math.nan,), per_output_token=(math.inf,))
    measured = LatencyComparison(**HERE, photos=("a",), rounds=1, tokens=2, candidate=broken, incumbent=broken)
    stored = LatencyComparison.model_validate_json(measured.model_dump_json())
    assert math.isnan(stored.candidate.to_first_token[0])
    assert math.isinf(stored.candidate.per_output_token[0])


def test_where_the_processor_computes_its_own_time_counts(clock, samples, monkeypatch):
    monkeypatch.setitem(latency._CLOCKS, "processor time", lambda: clock.now / 4)
    pair = (Model("a", clock, [], 2.0, 0.25), Model("b", clock, [], 1.0, 0.125))
    measured = compare_latency(*pair, samples, **HERE | {"clock": "processor time"})
    assert (measured.clock, measured.to_first_token()) == ("processor time", (0.5, 0.25))
    assert measured.per_output_token() == (0.0625, 0.03125)
