"""Benchmark runner: its command line."""

import subprocess
import sys

import pytest
from patience import LONGEST

pytestmark = pytest.mark.unit


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    command = [sys.executable, "-m", "benchmarks", "etl.extract", "etl.loud"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(
        "There is no benchmark etl.loud; give some of etl.extract, etl.transform, etl.curation,"
    )
