"""Sampling of the next token from truncated distributions, row by row."""

from collections.abc import Sequence

import torch

from serving.engines.local.sequence import TokenSequence


def sample(logits: torch.Tensor, rows: Sequence[TokenSequence]) -> torch.Tensor:
    """Return a token a row, drawn by its own random numbers from what its ``top_p`` and ``min_p`` leave (`snap2caption.vlm.Decoding`)."""

    def column(values: list[float]) -> torch.Tensor:
        return torch.tensor(values, device=logits.device)[:, None]

    ordered, tokens = (logits / column([row.decoding.temperature for row in rows])).softmax(-1).sort(descending=True)
    sums = ordered.cumsum(-1)
    # A token is in if those before it do not suffice; the first one always is.
    nucleus = sums - ordered < column([row.decoding.top_p for row in rows])
    likely = ordered >= ordered[:, :1] * column([row.decoding.min_p for row in rows])
    sums = (ordered * (nucleus & likely)).cumsum(-1)
    # Never the whole: a number next to 1 must not fall behind the last token.
    drawn = column([row.draw() for row in rows]).clamp(max=1 - 1e-6) * sums[:, -1:]
    return tokens.gather(1, (sums <= drawn).sum(-1, keepdim=True)).squeeze(1)
