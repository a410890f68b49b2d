"""Sampling of the next token, with temperature, top-p and min-p per row."""

from collections.abc import Sequence

import torch

from serving.engines.local.sequence import TokenSequence


def sample(logits: torch.Tensor, sequences: Sequence[TokenSequence]) -> torch.Tensor:
    """Return one token per row, of shape (rows,), for *logits* of shape (rows, vocabulary).

    Each sequence draws from its own random numbers, among the tokens that its ``top_p`` and ``min_p`` leave. Both are
    defined as in `snap2caption.vlm.Decoding`.
    """

    def column(values: list[float]) -> torch.Tensor:
        return torch.tensor(values, device=logits.device)[:, None]

    temperatures = column([sequence.decoding.temperature for sequence in sequences])
    ordered, tokens = (logits / temperatures).softmax(-1).sort(descending=True)
    sums = ordered.cumsum(-1)
    # A token is in the nucleus if those before it do not reach top_p; the first one always is.
    nucleus = sums - ordered < column([sequence.decoding.top_p for sequence in sequences])
    likely = ordered >= ordered[:, :1] * column([sequence.decoding.min_p for sequence in sequences])
    sums = (ordered * (nucleus & likely)).cumsum(-1)
    # Stay below the total: rounding of a number close to 1 must not select a token after the last allowed one.
    drawn = column([sequence.draw() for sequence in sequences]).clamp(max=1 - 1e-6) * sums[:, -1:]
    return tokens.gather(1, (sums <= drawn).sum(-1, keepdim=True)).squeeze(1)
