"""Benchmark beside other engines: its table."""

import pytest

from benchmarks.serving.load import LoadMeasurement
from benchmarks.serving.peers.__main__ import PeerLoad, PeerResult, table

pytestmark = pytest.mark.unit


def test_the_table_says_how_many_photos_a_quantile_is_of() -> None:
    slow = LoadMeasurement((1.0, 2.0, 4.0), 0.5)
    fast = LoadMeasurement((0.5,), 2.0)
    results = {
        "ours": PeerResult(3.25, 0.4, {1: fast, 4: fast}, {300: fast}, 1_500_000_000),
        "vLLM": PeerResult(40.0, 0.6, {1: slow, 4: slow}, {300: slow}, 3_600_000_000),
    }
    loads = {"ours": PeerLoad({1: 1, 4: 1}, {300: 1}), "vLLM": PeerLoad({1: 3, 4: 3}, {300: 3})}
    assert table(results, loads).splitlines() == [
        "| | ours | vLLM |",
        "|---|---|---|",
        "| first token | 0.40 s | 0.60 s |",
        "| P50 / P90 / P99 at 300 per hour | 0.50 / 0.50 / 0.50 s (1 photos) | 2.00 / 4.00 / 4.00 s (3 photos) |",
        "| captions per second, 1 client | 2.00 | 0.50 |",
        "| captions per second, 4 clients | 2.00 | 0.50 |",
        "| memory | 1.50 GB | 3.60 GB |",
        "| cold start to the first answer | 3.2 s | 40.0 s |",
    ]
