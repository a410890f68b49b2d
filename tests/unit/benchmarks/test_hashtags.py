"""Hashtag benchmark: the command-line tool."""

import subprocess
import sys

import pytest
from patience import LONGEST

pytestmark = pytest.mark.unit


def test_a_call_without_arguments_names_them() -> None:
    command = [sys.executable, "-m", "benchmarks.hashtags"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False)
    assert done.returncode == 2
    assert done.stderr.endswith("the following arguments are required: DATASET, HYPOTHESES\n")
