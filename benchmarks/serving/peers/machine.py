"""Limits of the machine that the engines run on: how fast it reads memory, and oneDNN's instruction set."""

import os
import re
import statistics
import subprocess
import sys
import time

import torch

_READ_BYTES = 1 << 30


def read_rate() -> float:
    """Return the rate, in bytes per second, at which all cores read memory: the median of several sums of 1 GiB."""
    numbers = torch.ones(_READ_BYTES // 4)

    def seconds() -> float:
        started = time.perf_counter()
        numbers.sum()
        return time.perf_counter() - started

    return _READ_BYTES / statistics.median(seconds() for _ in range(7))


def instruction_set() -> str:
    """Return what oneDNN says that it uses; the variable ``ONEDNN_MAX_CPU_ISA`` lowers it."""
    product = "import torch; torch.nn.functional.linear(*torch.ones(2, 64, 64, dtype=torch.bfloat16))"
    done = subprocess.run(
        (sys.executable, "-c", product), env=os.environ | {"ONEDNN_VERBOSE": "1"}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    found = re.search(r"cpu,isa:(.*)", done.stdout)
    return found[1] if found else "unknown"
