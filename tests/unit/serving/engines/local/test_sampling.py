"""Sampling compared with transformers' own top-p and min-p, which define what they mean."""

import pytest
import torch
from transformers import MinPLogitsWarper, TemperatureLogitsWarper, TopPLogitsWarper

from serving.engines.local.sampling import sample
from serving.engines.local.sequence import TokenSequence
from snap2caption.vlm import Decoding

pytestmark = pytest.mark.unit

DRAWS = 4000


def allowed(logits: torch.Tensor, decoding: Decoding) -> set[int]:
    scores = logits[None]
    for warp in (
        TemperatureLogitsWarper(decoding.temperature),
        TopPLogitsWarper(decoding.top_p),
        MinPLogitsWarper(decoding.min_p),
    ):
        scores = warp(None, scores)
    return set(scores.isfinite()[0].nonzero().flatten().tolist())


@pytest.mark.parametrize(
    ("top_p", "min_p"), [(0.95, 0.1), (0.95, 0.0), (1.0, 0.3), (0.4, 0.05), (1.0, 0.0), (1e-6, 1.0)]
)
def test_what_may_be_drawn_is_what_transformers_leaves(top_p: float, min_p: float) -> None:
    torch.manual_seed(0)
    for sharpness in (0.5, 3.0):
        logits = torch.randn(12) * sharpness
        decodings = [Decoding(8, temperature=0.8, top_p=top_p, min_p=min_p, seed=seed) for seed in range(DRAWS)]
        drawn = set(sample(logits.expand(DRAWS, -1), [TokenSequence(decoding) for decoding in decodings]).tolist())
        wanted = allowed(logits, decodings[0])
        # A very unlikely token might not come up in so many draws.
        likely = {token for token in wanted if (logits / 0.8).softmax(-1)[token] > 0.005}
        assert likely <= drawn <= wanted


def test_each_row_is_truncated_by_its_own_decoding() -> None:
    rows = [TokenSequence(Decoding(8, 1.0, 1.0, min_p, seed=seed)) for min_p in (1.0, 0.5, 0.0) for seed in range(500)]
    drawn = sample(torch.tensor([2.0, 1.9, 0.0, -1.0]).expand(1500, -1), rows).view(3, 500)
    assert [len(set(row.tolist())) for row in drawn] == [1, 2, 4]
