"""The script that times the engine on one GPU, tried out on the processor with a tiny model."""

import sys

import pytest

from benchmarks.serving import gpu
from benchmarks.training.shapes import build

pytestmark = pytest.mark.integration


def test_it_tells_latency_and_the_share_of_the_memory_limit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--tiny", "--device", "cpu", "--tokens", "8", "--rounds", "2", "--bandwidth", "10"]
    monkeypatch.setattr(sys, "argv", ["gpu", *arguments])
    gpu.main()
    lines = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    rows = {int(clients): values for clients, *values in lines[2:]}
    assert set(rows) == {1, 4, 16}
    for p50, p90, captions, tokens, limit, share in rows.values():
        assert 0 < float(p50.removesuffix(" s")) <= float(p90.removesuffix(" s"))
        # A random model writes all tokens that it may, of two texts a photo.
        assert float(tokens) == pytest.approx(16 * float(captions), rel=0.05)
        assert float(share.rstrip("%")) == pytest.approx(100 * float(tokens) / float(limit), abs=0.6)
    assert float(rows[1][4]) < float(rows[4][4]) < float(rows[16][4])


def test_without_a_gpu_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu"])
    with pytest.raises(SystemExit):
        gpu.main()
    assert "--tiny --device cpu" in capsys.readouterr().err


def test_a_step_reads_the_language_models_matrices_alone() -> None:
    # Three layers of four 96 x 96 and three 96 x 256, and the output layer, in float32.
    vocabulary = build("llava-tiny", "float32").model.lm_head.weight.shape[0]
    expected = 4 * (3 * (4 * 96 * 96 + 3 * 96 * 256) + vocabulary * 96)
    assert gpu.step_bytes(build("llava-tiny", "float32").model) == expected
