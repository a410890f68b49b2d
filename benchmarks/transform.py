"""The transform beside the obvious way: unzip, pair, check with Pillow, copy into a folder a split."""

import random
import shutil
import zipfile
from pathlib import Path

from PIL import Image

from benchmarks.table import Row, compare
from demo.corpus.archive import write_corpus
from etl.transform import DEFAULT_CITIES, transform

PAIRS = 2000


def run(folder: Path) -> Row:
    """Compare on a rendered corpus in *folder*. Both use what they find: ours all processors, the peer one."""
    corpus = write_corpus(folder / "corpus.zip", PAIRS, 0, traps=True)

    def ours() -> None:
        shutil.rmtree(folder / "ours", ignore_errors=True)
        transform(corpus, folder / "ours")

    def theirs() -> None:
        shutil.rmtree(folder / "peer", ignore_errors=True)
        _unzip_pair_copy(corpus, folder / "peer")

    what = f"transform, {PAIRS} pairs, with hashes, groups, shards, tables and data card"
    return compare(what, "unzip, pair, decode, copy (one process; no hashes, no groups)", ours, theirs)


def _unzip_pair_copy(corpus: Path, out: Path) -> None:
    raw = out / "raw"
    with zipfile.ZipFile(corpus) as archive:
        names = [name for name in archive.namelist() if ".." not in name and not name.startswith("/")]
        archive.extractall(raw, names)
    rng = random.Random(0)
    for image in sorted(raw.rglob("*.jpg")):
        if image.parent.name.lower().replace(" ", "") not in DEFAULT_CITIES:
            continue
        caption = Path(str(image.parent).replace("img_resized_1M", "captions_resized_1M")) / f"{image.stem}.txt"
        try:
            text = caption.read_text(encoding="utf-8")
            Image.open(image).load()
        except (OSError, ValueError, SyntaxError):
            continue
        if text.strip():
            split = out / rng.choices(["train", "validation", "test"], [8, 1, 1])[0]
            split.mkdir(exist_ok=True)
            shutil.copy(image, split)
            shutil.copy(caption, split)
