"""Orientation from a perceptual hash: finds and undoes the eight orientations of a picture (EXIF numbers them).

Mirroring a picture negates its odd frequencies; transposing it transposes them. So two frequencies define one
orientation as upright: the slowest horizontal change and the slowest vertical change are both positive, and the
horizontal one is larger. Where one of these is so weak that a copy may have the other sign or order, the
picture is compared in both orientations.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

ACROSS, DOWN, DIAGONAL = 1, 2, 4
"""Bits of an orientation: mirrored horizontally, mirrored vertically, then transposed."""
TURNS = range(8)
PARTS = len(TURNS) ** 2

_DOUBTS = 3
"""Shift of the bits that mark a doubtful orientation, above the bits of the orientation itself."""
_WEAK = {ACROSS: 0.08, DOWN: 0.08, DIAGONAL: 0.15}
"""Limits below which a sign or a difference is in doubt, as shares of a picture's slow change (root of the sum
of squares of 15 frequencies).

A copy is missed if it lies beyond the limit on one side of zero and its original on the other. Of 3,806 copies
of photographs and scenes (re-encoded, scaled, brighter, with more contrast, cropped by up to 5 % per side) none
was missed; with 0.03 for all three limits, 25 were. Half as many hashes again are compared.
"""

_BLOCK = 10_000
"""Hashes that are unpacked to one byte per bit at a time."""


def find_turns(frequencies: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Return the orientation of each of n pictures with these *frequencies*, (n, 16, 16).

    Returns:
        (n,) bytes: the turn that sets a picture upright, and above it the bits of that turn that are in doubt.
    """
    frequencies = frequencies.round(3)  # otherwise rounding errors would turn a picture of one color
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
) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]]:
    """Yield the hashes of n pictures as if they were upright; several for a picture whose orientation is in doubt.

    They come in `PARTS` parts, by the bits in doubt and the turn, which `count_upright` counts.

    Args:
        hashes: (n, views * 32) as `etl.transform.cleaning.picture` makes them.
        turns: (n,) as `find_turns` returns them.

    Returns:
        (m, views * 32) hashes, and (m,) the number of the picture that each belongs to.
    """
    for turn, these in _parts(turns):
        yield turned(hashes[these], turn), these


def count_upright(turns: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Return the number of hashes in each of the parts that `set_upright` yields: (`PARTS`,)."""
    return np.array([len(these) for _, these in _parts(turns)])


def _parts(turns: npt.NDArray[np.uint8]) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """Yield each turn, and the pictures that it sets upright."""
    doubts = turns >> _DOUBTS
    for doubt in TURNS:
        # One turn for each set of doubtful bits.
        these = np.flatnonzero((doubts & doubt) == doubt)
        wanted = (turns[these] ^ doubt) & max(TURNS)
        for turn in TURNS:
            yield turn, these[wanted == turn]


def turned(hashes: npt.NDArray[np.uint8], turn: int) -> npt.NDArray[np.uint8]:
    """Return the hashes, (n, views * 32), of the same pictures after *turn*, except for a few bits near the median."""
    mirrored = np.zeros((16, 16), dtype=bool)
    mirrored[:, 1::2] ^= bool(turn & ACROSS)
    mirrored[1::2, :] ^= bool(turn & DOWN)
    found = hashes ^ np.tile(np.packbits(mirrored), hashes.shape[1] // 32)
    if turn & DIAGONAL:
        for start in range(0, len(found), _BLOCK):
            bits = np.unpackbits(found[start : start + _BLOCK], axis=1).reshape(-1, 16, 16)
            found[start : start + _BLOCK] = np.packbits(bits.transpose(0, 2, 1)).reshape(-1, found.shape[1])
    return found
