"""BLEU from counts that add up: the score of any part of a set, or of a resample of it, is computed without its texts.

The counting is ``pycocoevalcap``'s own, and the formula is that of its ``BleuScorer`` with the closest reference's length, on arrays.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pycocoevalcap.bleu.bleu_scorer import cook_refs, cook_test

ORDER = 4
"""The longest n-grams that count."""

COUNTS = 2 * ORDER + 2
"""Numbers that `bleu_counts` returns."""

# As in BleuScorer, against divisions by nothing.
_SMALL, _TINY = 1e-9, 1e-15


def bleu_counts(words: str, references: Sequence[str]) -> list[int]:
    """Count a caption's n-grams of 1 to `ORDER` words.

    Args:
        words: the caption's words, with a space between.
        references: the same of its references, one or more.

    Returns:
        How many n-grams it has of each length, how many of those are in a reference, its words, and the words of the reference that is
        closest in length.
    """
    cooked = cook_test(words, cook_refs(references, n=ORDER), eff="closest", n=ORDER)
    return [*cooked["guess"], *cooked["correct"], cooked["testlen"], cooked["reflen"]]


def bleu(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return BLEU-1 to BLEU-4, of shape (…, 4), of sets whose counts, summed, are *counts*, of shape (…, `COUNTS`)."""
    written, right = counts[..., :ORDER], counts[..., ORDER : 2 * ORDER]
    precision = np.cumprod((right + _TINY) / (written + _SMALL), axis=-1) ** (1 / np.arange(1, ORDER + 1))
    ratio = (counts[..., -2, np.newaxis] + _TINY) / (counts[..., -1, np.newaxis] + _SMALL)
    brevity = np.exp(np.minimum(0.0, 1 - 1 / ratio))
    return np.asarray(precision * brevity)
