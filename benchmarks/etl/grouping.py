"""Grouping benchmark: time and peak memory of finding near-duplicates among millions of perceptual hashes.

Usage: ``python -m benchmarks.etl.grouping SAMPLES…``. Each size runs in a process of its own.
"""

import argparse
import hashlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.commands import highest
from etl.transform.cleaning.picture import HASH_BYTES, HASH_SIZE, VIEWS, hash_pictures
from etl.transform.splitting.grouping import group

_BLOCK = 10_000
_COPIED = 0.1
"""Share of pictures that are copies of earlier ones: half of them mirrored, a fifth with an equal hash."""
_NOISE = 0.05
"""Change of a copy's frequencies, as a share of their usual size: some 5 to 40 bits of 256."""
_INNER_NOISE = 0.3


class Samples:
    """Digests of so many rows in a file, in blocks."""

    def __init__(self, path: Path, width: int) -> None:
        self._path = path
        self._width = width

    def __iter__(self) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield the blocks."""
        with self._path.open("rb") as stream:
            while data := stream.read(_BLOCK * self._width):
                yield np.frombuffer(data, np.uint8).reshape(-1, self._width)


def write_samples(folder: Path, count: int) -> None:
    """Write the hashes of *count* pictures with the spectrum of natural ones, and the digests of their captions."""
    blocks = range(-(-count // _BLOCK))
    with (
        multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool,
        (folder / "hashes").open("wb") as hashes,
        (folder / "captions").open("wb") as captions,
    ):
        for number, rows in zip(blocks, pool.imap(_hashes, blocks), strict=True):
            size = min(_BLOCK, count - number * _BLOCK)
            hashes.write(rows[: size * HASH_BYTES])
            words = np.random.default_rng([1, number]).integers(0, 256, (size, 32), np.uint8)
            words[::20] = words[size // 2]  # a phrase
            words[1::20] = words[: len(words[1::20])]
            captions.write(words.tobytes())


def _hashes(number: int) -> bytes:
    rng = np.random.default_rng([0, number])
    spectra = _spectra(rng, _BLOCK)
    copies = rng.choice(_BLOCK, int(_BLOCK * _COPIED), replace=False)
    if number:
        # Copies of what an earlier block has, which is drawn again.
        earlier = _spectra(np.random.default_rng([0, int(rng.integers(number))]), _BLOCK)
        noise = _NOISE * _sizes() * rng.standard_normal((len(copies), VIEWS, HASH_SIZE, HASH_SIZE), np.float32)
        noise[::5] = 0
        spectra[copies] = earlier[rng.permutation(_BLOCK)[: len(copies)]] + noise
        spectra[copies[::2], :, :, 1::2] *= -1
    return b"".join(hash_pictures(list(spectra)))


def _spectra(rng: np.random.Generator, count: int) -> npt.NDArray[np.float32]:
    whole = rng.standard_normal((count, 1, HASH_SIZE, HASH_SIZE), np.float32)
    inner = whole + _INNER_NOISE * rng.standard_normal(whole.shape, np.float32)
    found: npt.NDArray[np.float32] = np.concatenate([whole, inner], axis=1) * _sizes()
    found[:, :, 0, 0] = 100 * HASH_SIZE**2
    return found


def _sizes() -> npt.NDArray[np.float32]:
    """Return the usual sizes of frequencies: natural pictures have half of one at twice the frequency."""
    side = np.arange(HASH_SIZE)
    found: npt.NDArray[np.float32] = (1000 / np.hypot(np.maximum(side, 0.5)[:, np.newaxis], side)).astype(np.float32)
    return found


def measure(folder: Path) -> str:
    """Group the samples in *folder*, and return a line with what it took."""
    started, worked = time.perf_counter(), time.process_time()
    groups = group(Samples(folder / "captions", 32), Samples(folder / "hashes", HASH_BYTES), folder)
    seconds, worked = time.perf_counter() - started, time.process_time() - worked
    memory = (highest(os.getpid()) or 0) / 1e6
    count = int((groups == np.arange(len(groups))).sum())
    digest = hashlib.sha256(groups.astype(np.int64).tobytes()).hexdigest()[:12]
    return f"| {len(groups):,} | {count:,} ({digest}) | {seconds:.0f} s ({worked:.0f} s CPU) | {len(groups) / seconds:,.0f} | {memory:.0f} MB |"


def main() -> None:
    """Print a table with a row for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("samples", type=int, nargs="*", default=[250_000, 1_000_000])
    parser.add_argument("--folder", type=Path, help="measure the samples in this folder")
    arguments = parser.parse_args()
    if arguments.folder:
        print(measure(arguments.folder))
        return
    print("| samples | groups | time | samples per second | peak memory |\n|---|---|---|---|---|")
    for count in arguments.samples:
        with tempfile.TemporaryDirectory() as name:
            write_samples(Path(name), count)
            command = [sys.executable, "-m", "benchmarks.etl.grouping", "--folder", name]
            print(subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout, end="", flush=True)


if __name__ == "__main__":
    main()
