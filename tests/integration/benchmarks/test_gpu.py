"""The script for one GPU, tried out on the processor with a tiny model."""

import sys

import pytest

from benchmarks.training import gpu, worker

pytestmark = pytest.mark.integration

ARGUMENTS = [
    "--shape=llava-tiny", "--peak-tflops=1",
    "training.global_micro_batch_size=2", "training.gradient_accumulation_steps=1", "training.precision=float32",
    "model.lora.r=4", "model.lora.lora_dropout=0",
]  # fmt: skip


# Of TRL, about transformers.
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_it_compares_with_trl_and_both_end_with_the_same_loss(monkeypatch, capsys) -> None:
    # Here, and not in two processes that load everything anew.
    monkeypatch.setattr(gpu, "measure", worker.main)
    monkeypatch.setattr(sys, "argv", ["gpu", *ARGUMENTS])
    gpu.main()
    table = [line.strip("|").split("|") for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    rows = {name.strip(): [value.strip() for value in values] for name, *values in table}
    speed, _, _, utilization, _, loss = rows["ours"]
    assert float(speed) > 0
    assert utilization.endswith("%")
    assert float(loss) == pytest.approx(float(rows["trl"][-1]), rel=1e-3)
