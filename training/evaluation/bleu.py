"""BLEU from additive counts: the score of any subset or resample is computed without its texts.

N-grams are counted by ``pycocoevalcap``, and the formula is that of its ``BleuScorer`` with the closest reference
length, on arrays.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pycocoevalcap.bleu.bleu_scorer import cook_refs, cook_test

ORDER = 4
"""Length of the longest n-grams."""

COUNTS = 2 * ORDER + 2
"""How many numbers `bleu_counts` returns."""

# As in BleuScorer, to avoid division by zero.
_SMALL, _TINY = 1e-9, 1e-15


def bleu_counts(words: str, references: Sequence[str]) -> list[int]:
    """Return the counts of a caption's n-grams of 1 to `ORDER` words.

    Args:
        words: the caption's words, separated by spaces.
        references: one or more references, in the same form.

    Returns:
        The number of n-grams of each length, the number of those that occur in a reference, the caption's length in
            words, and the length of the reference that is closest to it.
    """
    cooked = cook_test(words, cook_refs(references, n=ORDER), eff="closest", n=ORDER)
    return [*cooked["guess"], *cooked["correct"], cooked["testlen"], cooked["reflen"]]


def bleu(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return BLEU-1 to BLEU-4, shape (…, 4), of sets whose summed counts are *counts*, shape (…, `COUNTS`)."""
    total, matched = counts[..., :ORDER], counts[..., ORDER : 2 * ORDER]
    precision = np.cumprod((matched + _TINY) / (total + _SMALL), axis=-1) ** (1 / np.arange(1, ORDER + 1))
    ratio = (counts[..., -2, np.newaxis] + _TINY) / (counts[..., -1, np.newaxis] + _SMALL)
    brevity = np.exp(np.minimum(0.0, 1 - 1 / ratio))
    return np.asarray(precision * brevity)
