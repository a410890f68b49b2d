"""Transform benchmark against a loop that only decodes and a naive implementation, and its peak memory.

``python -m benchmarks.etl.transform --pairs 100000`` is the large run. A corpus is drawn once, and kept in the
state folder.
"""

import argparse
import io
import multiprocessing
import os
import random
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from benchmarks.commands import run_command
from benchmarks.table import TableRow, compare, markdown
from demo.corpus.archive import write_corpus
from demo.scenes.scene import City
from etl.transform import transform
from snap2caption.settings import Settings

PAIRS = 20_000
"""Of which nothing is left out: all cities are kept."""

CITIES = [city.value for city in City]
PROCESSES = os.cpu_count() or 1


def run(folder: Path, pairs: int = PAIRS, runs: int = 3) -> list[TableRow]:
    """Compare on a rendered corpus of *pairs*, in *folder*."""
    found = corpus(pairs)
    ours = _fresh(folder / "ours", lambda out: transform(found, out, cities=CITIES, workers=PROCESSES))
    theirs = _fresh(folder / "peer", lambda out: _unzip_pair_copy(found, out))
    what = f"transform, {pairs} pairs, {PROCESSES} processes: hashes, groups, shards, tables and data card"
    loop = f"decode every photo and nothing else, {PROCESSES} processes"
    return [
        compare(what, loop, ours, lambda: _decode(found), runs),
        compare(what, "unzip, pair, decode, copy; one process, no hashes, no groups", ours, theirs, runs),
    ]


def corpus(pairs: int) -> Path:
    """Return a corpus of *pairs*; drawing it takes some minutes, so it is kept."""
    path = Settings().state_dir / "benchmarks" / f"corpus-{pairs}.zip"
    return path if path.exists() else write_corpus(path, pairs, 0)


def peak_memory(pairs: int, folder: Path) -> float:
    """Return the megabytes that each of the transform's processes had resident at its highest, added up."""
    out = str(folder / str(pairs))
    return run_command("transform", str(corpus(pairs)), "--out", out, "--cities", ",".join(CITIES)).megabytes


def _fresh(out: Path, work: Callable[[Path], object]) -> Callable[[], None]:
    def run() -> None:
        shutil.rmtree(out, ignore_errors=True)
        work(out)

    return run


def _decode(found: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        pool.starmap(_decode_part, [(found, part) for part in range(PROCESSES)])


def _decode_part(found: Path, part: int) -> None:
    with zipfile.ZipFile(found) as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")]
        for name in names[len(names) * part // PROCESSES : len(names) * (part + 1) // PROCESSES]:
            with Image.open(io.BytesIO(archive.read(name))) as image:
                image.load()


def _unzip_pair_copy(found: Path, out: Path) -> None:
    raw = out / "raw"
    with zipfile.ZipFile(found) as archive:
        archive.extractall(raw)
    rng = random.Random(0)
    for image in sorted(raw.rglob("*.jpg")):
        caption = Path(str(image.parent).replace("img_resized_1M", "captions_resized_1M")) / f"{image.stem}.txt"
        try:
            text = caption.read_text(encoding="utf-8")
            with Image.open(image) as opened:
                opened.load()
        except (OSError, ValueError, SyntaxError):
            continue
        if text.strip():
            split = out / rng.choices(["train", "validation", "test"], [8, 1, 1])[0]
            split.mkdir(exist_ok=True)
            shutil.copy(image, split)
            shutil.copy(caption, split)


def main() -> None:
    """Print the tables for the size that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--runs", type=int, default=2, help="runs per tool, in turn, after a warm-up; 0: only memory")
    arguments = parser.parse_args()
    if arguments.runs:
        with tempfile.TemporaryDirectory() as folder:
            print(markdown(run(Path(folder), arguments.pairs, arguments.runs)))
    with tempfile.TemporaryDirectory() as folder:
        for pairs in sorted({PAIRS, arguments.pairs}):
            print(f"\nPeak memory of all processes, {pairs} pairs: {peak_memory(pairs, Path(folder)):.0f} MB")


if __name__ == "__main__":
    main()
