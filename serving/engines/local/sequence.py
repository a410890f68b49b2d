"""A row: one text that is being written, and rows that are about to be."""

from dataclasses import dataclass, field

import torch

from serving.engines.local.kv_cache import KVCache
from snap2caption.vlm import Decoding


@dataclass(slots=True, eq=False)
class TokenSequence:
    """One text that is being written: by the adapted model, or (*bare*) by the base without its adapter."""

    decoding: Decoding
    bare: bool = False
    tokens: list[int] = field(default_factory=list)
    done: bool = False
    cut: bool = False
    """Whether the text had to end because it was as long as may be."""
    _sure: float = 0.0
    _random: torch.Generator | None = None

    def __post_init__(self) -> None:
        if self.decoding.temperature > 0:
            # A generator a row: a seed gives the same text whoever is written beside it.
            self._random = torch.Generator().manual_seed(self.decoding.seed)

    @property
    def confidence(self) -> float:
        """The mean probability of the tokens, 0 to 1."""
        # A mean of probabilities may come out a hair above 1.
        return min(1.0, self._sure / len(self.tokens)) if self.tokens else 0.0

    def draw(self) -> float:
        """Return the next random number, 0 to 1; 0 where nothing is left to chance."""
        return 0.0 if self._random is None else float(torch.rand((), generator=self._random))

    def append(self, token: int, probability: float, ends: frozenset[int]) -> None:
        """Add a token. The row is done at an end token, or when it is as long as may be."""
        self.tokens.append(token)
        self._sure += probability
        self.cut = token not in ends and len(self.tokens) >= self.decoding.max_new_tokens
        self.done = self.cut or token in ends


@dataclass(frozen=True, slots=True, eq=False)
class PrefilledSequences:
    """Rows whose photos and prompts have been read, before their first token."""

    rows: list[TokenSequence]
    cache: KVCache
    mask: torch.Tensor
    """Of shape (rows, tokens read), 0 on padding."""
    positions: torch.Tensor
    """Of each row's next token."""
    logits: torch.Tensor
    """Of shape (rows, vocabulary)."""
    tokens: int
    """How many were read, without padding."""
