"""The script for one GPU, tried out on the processor with a tiny model."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]


def test_it_compares_with_trl_and_both_end_with_the_same_loss():
    command = [
        sys.executable, "-m", "benchmarks.training.gpu", "--shape=llava-tiny", "--peak-tflops=1", "optimiser.batch_size=2",
        "optimiser.accumulation=1", "optimiser.precision=float32", "model.lora.rank=4", "model.lora.dropout=0",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    table = [line.strip("|").split("|") for line in done.stdout.splitlines() if line.startswith("|")]
    rows = {name.strip(): [value.strip() for value in values] for name, *values in table}
    speed, _, _, utilisation, _, loss = rows["ours"]
    assert float(speed) > 0
    assert utilisation.endswith("%")
    assert float(loss) == pytest.approx(float(rows["trl"][-1]), rel=1e-3)
