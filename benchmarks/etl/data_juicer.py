"""Curation beside Data-Juicer: CPU time and agreement of the four filters that both have, on the same pairs.

``python -m benchmarks.etl.data_juicer PYTHON --pairs 2000``, where PYTHON is that of an environment with
``pip install py-data-juicer==1.6.1 aiohttp ray msgpack``. The pairs are a rendered corpus's, a part of which is
spoiled.
"""

import argparse
import io
import json
import os
import random
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from benchmarks.etl.transform import corpus
from etl.transform.cleaning.caption import clean
from etl.transform.curation.pictures import check_size
from etl.transform.curation.settings import LengthSettings, RepetitionSettings, SizeSettings
from etl.transform.curation.texts import Text, check_length, check_repetition

PEER = Path(__file__).with_name("data_juicer_filters.py")
_NO_LIMIT = 1e9


def write_pairs(pairs: int, folder: Path) -> list[dict[str, str]]:
    """Write the photos of a corpus of *pairs* to *folder*; return the path of each with its caption.

    A fifth of the captions is cut to a few words, a fifth repeats itself, and three in ten photos have another size.
    """
    rng = random.Random(0)
    rows = []
    with zipfile.ZipFile(corpus(pairs)) as archive:
        captions = {Path(name).stem: name for name in archive.namelist() if name.endswith(".txt")}
        for name in sorted(name for name in archive.namelist() if name.endswith(".jpg")):
            words = clean(archive.read(captions[Path(name).stem]).decode())[0].split()
            draw = rng.random()
            if draw < 0.2:
                words = words[: rng.randrange(1, 4)]
            elif draw < 0.4:
                words = words[: rng.randrange(2, 5)] * rng.randrange(2, 6) + words[: rng.randrange(9)]
            photo = archive.read(name)
            if rng.random() < 0.3:
                photo = _resized(photo, rng.randrange(150, 700), rng.randrange(150, 400))
            path = folder / f"{len(rows)}.jpg"
            path.write_bytes(photo)
            rows.append({"text": " ".join(words), "image": str(path)})
    return rows


def _resized(photo: bytes, width: int, height: int) -> bytes:
    stream = io.BytesIO()
    with Image.open(io.BytesIO(photo)) as image:
        image.resize((width, height)).save(stream, "JPEG")
    return stream.getvalue()


def ours(rows: list[dict[str, str]]) -> dict[str, Callable[[int], bool]]:
    """Return for each filter the function that says whether it keeps the row of a number."""
    length = check_length(LengthSettings(min_words=3, max_words=200))
    repetition = check_repetition(RepetitionSettings(max_share=0.3, run=2))
    side = check_size(SizeSettings(min_side=200, max_aspect=_NO_LIMIT))
    aspect = check_size(SizeSettings(min_side=1, max_aspect=2.5))
    return {
        "length": lambda row: length(Text(rows[row]["text"], []), {}) is None,
        "repetition": lambda row: repetition(Text(rows[row]["text"], []), {}) is None,
        "low_resolution": lambda row: side(Path(rows[row]["image"]).read_bytes(), {}) is None,
        "aspect_ratio": lambda row: aspect(Path(rows[row]["image"]).read_bytes(), {}) is None,
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("python", type=Path)
    parser.add_argument("--pairs", type=int, default=2000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = write_pairs(arguments.pairs, folder)
        (folder / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        subprocess.run(
            [arguments.python, "-P", PEER, folder / "pairs.jsonl", folder / "theirs.json"],
            check=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        theirs = json.loads((folder / "theirs.json").read_text())
        print("| filter | rejected | ours, µs | Data-Juicer's, µs | agreement |\n|---|---|---|---|---|")
        for step, keeps in ours(rows).items():
            keeps(0)
            started = time.process_time()
            kept = [keeps(row) for row in range(len(rows))]
            seconds = (time.process_time() - started) / len(rows)
            agreed = sum(one == other for one, other in zip(kept, theirs[step]["kept"], strict=True)) / len(rows)
            print(
                f"| {step} | {kept.count(False)} | {seconds * 1e6:.0f} | {theirs[step]['seconds'] * 1e6:.0f} | "
                f"{100 * agreed:.1f} % |"
            )


if __name__ == "__main__":
    main()
