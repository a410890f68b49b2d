"""Turns of a picture: the eight ways in which it may lie (EXIF has a number for each) are told apart and undone by its hash alone.

The frequencies of a mirrored picture are those of the picture, the odd ones with the other sign; those of one turned about its diagonal are
transposed. So one way of lying can be called upright by two frequencies alone: the slowest change across and the slowest change down are both
positive, and that across is the larger. Where one of these is so weak that a copy may have it otherwise, a picture is compared in both ways.
"""

import numpy as np
import numpy.typing as npt

ACROSS, DOWN, DIAGONAL = 1, 2, 4
"""The bits of a turn: mirrored across, mirrored down, and then about the diagonal."""
TURNS = range(8)

_DOUBTS = 3
"""Places by which the bits of what is in doubt stand above those of the turn."""
_WEAK = {ACROSS: 0.08, DOWN: 0.08, DIAGONAL: 0.15}
"""Shares of a picture's slow change (root of the sum of squares of 15 frequencies) below which a sign, or a difference, is in doubt.

A copy is missed if it lies beyond the share on one side of zero and its original on the other. Of 3,806 copies of photographs and scenes (encoded
again, scaled, brighter, of more contrast, cropped by up to 5 % a side) none was; with 0.03 for all three, 25 were. Half as many hashes again are
compared.
"""

_BLOCK = 10_000
"""Hashes whose bits lie in memory as bytes at a time."""


def find_turns(frequencies: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Return how each of n pictures with these *frequencies*, (n, 16, 16), lies: the turn that sets it upright, and what of it is in doubt: (n,)."""
    frequencies = frequencies.round(3)  # or errors of the arithmetic would turn a picture of one color
    slow = frequencies[:, :4, :4].reshape(len(frequencies), -1)[:, 1:]
    scale = np.sqrt((slow**2).sum(axis=1))
    across, down = frequencies[:, 0, 1], frequencies[:, 1, 0]
    wider = np.abs(across) - np.abs(down)
    found = np.zeros(len(frequencies), dtype=np.uint8)
    for bit, value in ((ACROSS, across), (DOWN, down), (DIAGONAL, wider)):
        found |= np.where(value < 0, bit, 0).astype(np.uint8)
        found |= np.where(np.abs(value) < _WEAK[bit] * scale, bit << _DOUBTS, 0).astype(np.uint8)
    return found


def set_upright(
    hashes: npt.NDArray[np.uint8], turns: npt.NDArray[np.uint8]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return the hashes of n pictures as they would be upright, of one that is in doubt several.

    Args:
        hashes: (n, views * 32) as `etl.transform.cleaning.picture` makes them.
        turns: (n,) as `find_turns` returns them.

    Returns:
        (m, views * 32) hashes, and (m,) the number of the picture that each is of.
    """
    doubts = turns >> _DOUBTS
    found, pictures = [], []
    for doubt in TURNS:
        # A turn for each set of what is in doubt.
        these = np.flatnonzero((doubts & doubt) == doubt)
        wanted = (turns[these] ^ doubt) & max(TURNS)
        for turn in TURNS:
            chosen = these[wanted == turn]
            found.append(turned(hashes[chosen], turn))
            pictures.append(chosen)
    return np.concatenate(found), np.concatenate(pictures)


def turned(hashes: npt.NDArray[np.uint8], turn: int) -> npt.NDArray[np.uint8]:
    """Return the hashes, (n, views * 32), of the same pictures after *turn*; but for a few bits that are near the median."""
    mirrored = np.zeros((16, 16), dtype=bool)
    mirrored[:, 1::2] ^= bool(turn & ACROSS)
    mirrored[1::2, :] ^= bool(turn & DOWN)
    found = hashes ^ np.tile(np.packbits(mirrored), hashes.shape[1] // 32)
    if turn & DIAGONAL:
        for start in range(0, len(found), _BLOCK):
            bits = np.unpackbits(found[start : start + _BLOCK], axis=1).reshape(-1, 16, 16)
            found[start : start + _BLOCK] = np.packbits(bits.transpose(0, 2, 1)).reshape(-1, found.shape[1])
    return found
