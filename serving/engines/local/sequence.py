"""Token sequences: texts that are being generated, and prefilled sequences that wait to join a batch."""

from dataclasses import dataclass, field

import torch

from serving.engines.local.kv_cache import KVCache
from snap2caption.vlm import Decoding


@dataclass(slots=True, eq=False)
class TokenSequence:
    """One text that is being generated, with the adapter or (*base_only*) by the base model alone."""

    decoding: Decoding
    base_only: bool = False
    tokens: list[int] = field(default_factory=list)
    done: bool = False
    cut: bool = False
    """Whether the text ended at its token limit."""
    _probability_sum: float = 0.0
    _generator: torch.Generator | None = None

    def __post_init__(self) -> None:
        if self.decoding.temperature > 0:
            # One generator per sequence: a seed gives the same text, whatever else is in the batch.
            self._generator = torch.Generator().manual_seed(self.decoding.seed)

    @property
    def confidence(self) -> float:
        """The mean probability of the tokens, 0 to 1."""
        # By rounding, a mean of probabilities may be slightly above 1.
        return min(1.0, self._probability_sum / len(self.tokens)) if self.tokens else 0.0

    def draw(self) -> float:
        """Return the next random number in [0, 1), or 0 for greedy decoding."""
        return 0.0 if self._generator is None else float(torch.rand((), generator=self._generator))

    def append(self, token: int, probability: float, end_tokens: frozenset[int]) -> None:
        """Add a token. The sequence is done at an end token, or at its token limit."""
        self.tokens.append(token)
        self._probability_sum += probability
        self.cut = token not in end_tokens and len(self.tokens) >= self.decoding.max_new_tokens
        self.done = self.cut or token in end_tokens


@dataclass(frozen=True, slots=True, eq=False)
class PrefilledSequences:
    """Sequences whose photos and prompts are in the KV cache, before their first token."""

    sequences: list[TokenSequence]
    cache: KVCache
    padding: torch.Tensor
    """The number of tokens of padding before each row's prompt, of shape (rows,)."""
    logits: torch.Tensor
    """The next logits, of shape (rows, vocabulary)."""
    tokens: int
    """The number of tokens that were read, without padding."""
