"""Download of a table of URLs by img2dataset, which runs in a process of its own environment.

What is downloaded lies in a folder beside the corpus until the corpus is whole. A killed download goes on where its
last whole part ended.
"""

import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path

from etl.readers.base import ReaderOptions, SkippedPost, SourcePost
from etl.readers.names import SeenNames
from etl.settings import Img2datasetSettings
from etl.transform.archive.members import MAX_IMAGE_BYTES
from etl.transform.atomic_files import sync
from etl.urls import guarded_download
from etl.urls.shards import read_shard
from etl.urls.table import GROUP, PART, UrlRow, read_table
from snap2caption.errors import UserError
from snap2caption.runtime.telemetry import LIBRARIES
from snap2caption.settings import read_settings

Progress = Callable[[int, int], None]
"""Called with the numbers of downloaded rows, failed ones too, and of all."""

_POLL = 0.2
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""Variables that img2dataset gets. The others may hold secrets."""


class UrlDownload:
    """Download of one table into a folder."""

    def __init__(self, table: Path, options: ReaderOptions, folder: Path) -> None:
        self._table = table
        self._options = options
        self._folder = folder
        self._plan = folder / "plan.json"
        self._shards = folder / "shards"

    def run(self, lock: int, on_progress: Progress) -> None:
        """Download all parts that are not there yet.

        Args:
            lock: the descriptor of a locked file, which img2dataset inherits, so that no other run writes to the
                folder before both of us have ended.
            on_progress: called often.

        Raises:
            UserError: the table can't be read, or img2dataset is missing, ends with an error, or leaves parts out.
        """
        settings = read_settings(Img2datasetSettings)
        python = _find_python(settings)
        counts = self._divide()
        total = sum(counts)
        if self._done(counts) < total:
            self._download(python, settings, lock, lambda: on_progress(self._done(counts), total))
        missing = [number for number, count in enumerate(counts) if not self._is_complete(number, count)]
        if missing:
            raise self._failed(f"left out part {missing[0]}")

    def posts(self) -> Iterator[SourcePost | SkippedPost]:
        """Yield the posts in the order of the table, after `run`; what was not downloaded comes first."""
        plan = json.loads(self._plan.read_bytes())
        for reason, count in plan["skipped"].items():
            yield from (SkippedPost(str(self._table), reason) for _ in range(count))
        for number in range(len(plan["rows"])):
            yield from read_shard(self._shards, number)

    def remove(self) -> None:
        """Remove what was downloaded."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _divide(self) -> list[int]:
        """Write the parts, unless they are there, and return the number of rows of each."""
        identity = self._identity()
        with suppress(OSError, ValueError):
            plan = json.loads(self._plan.read_bytes())
            if plan["identity"] == identity:
                return list(plan["rows"])
        self.remove()
        (self._folder / "parts").mkdir(parents=True)
        counts, skipped = list[int](), Counter[str]()
        try:
            with closing(SeenNames()) as seen:
                found = _kept(read_table(self._table, self._options, seen), skipped)
                for number, part in enumerate(_parts(found)):
                    _write_part(self._folder / "parts" / f"{number:05d}.parquet", part)
                    counts.append(len(part))
        except UserError:
            self.remove()
            raise
        draft = self._plan.with_suffix(".draft")
        draft.write_text(json.dumps({"identity": identity, "rows": counts, "skipped": skipped}))
        sync(draft)
        draft.replace(self._plan)
        return counts

    def _identity(self) -> list[str | None]:
        with self._table.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return [digest, self._table.suffix, self._options.url, self._options.caption, self._options.group]

    def _done(self, counts: list[int]) -> int:
        """Return the number of rows whose parts are whole."""
        return sum(count for number, count in enumerate(counts) if self._is_whole(number))

    def _is_whole(self, number: int) -> bool:
        return self._stats(number).exists()

    def _is_complete(self, number: int, count: int) -> bool:
        """Return whether a part has its rows; if not, it will be downloaded again.

        img2dataset leaves out a row that it could not write, say, on a full disk.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        with suppress(OSError, pa.ArrowInvalid):
            if self._is_whole(number) and pq.read_metadata(self._shards / f"{number:05d}.parquet").num_rows == count:
                return True
        self._stats(number).unlink(missing_ok=True)
        return False

    def _stats(self, number: int) -> Path:
        return self._shards / f"{number:05d}_stats.json"

    def _download(
        self, python: Path, settings: Img2datasetSettings, lock: int, on_progress: Callable[[], None]
    ) -> None:
        asked = {
            "parts": str(self._folder / "parts"),
            "shards": str(self._shards),
            "columns": [GROUP] if self._options.group else [],
            "rows": PART,
            "threads": settings.threads,
            "timeout": settings.timeout,
            "networks": [str(network) for network in settings.networks],
            "max_bytes": MAX_IMAGE_BYTES,
        }
        with (self._folder / "img2dataset.log").open("ab") as log:
            process = subprocess.Popen(
                [str(python), "-I", guarded_download.__file__, json.dumps(asked)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=_environment(),
                pass_fds=(lock,),
                start_new_session=True,
            )
            try:
                while True:
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(_POLL)
                        break
                    on_progress()
            finally:
                # Its workers are in its group, and are of no use without it.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                if process.stdin:
                    process.stdin.close()
        if process.returncode != 0:
            raise self._failed("ended with an error")
        on_progress()

    def _failed(self, what: str) -> UserError:
        log = self._folder / "img2dataset.log"
        return UserError(f"img2dataset {what}; read {log}, then run the same command again, which goes on from there.")


def work_folder(out: Path) -> Path:
    """Return the folder of the download for the corpus *out*, which is beside it."""
    return out.with_name(f".{out.name}.download")


def _kept(found: Iterable[UrlRow | SkippedPost], skipped: Counter[str]) -> Iterator[UrlRow]:
    for row in found:
        if isinstance(row, SkippedPost):
            skipped[row.reason] += 1
        else:
            yield row


def _parts(found: Iterable[UrlRow]) -> Iterator[list[UrlRow]]:
    part = list[UrlRow]()
    for row in found:
        part.append(row)
        if len(part) == PART:
            yield part
            part = []
    if part:
        yield part


def _write_part(path: Path, part: list[UrlRow]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        "url": [row.url for row in part],
        "caption": [_storable(row.caption) for row in part],
        GROUP: [None if row.group is None else _storable(row.group) for row in part],
    }
    pq.write_table(pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()}), path)


def _storable(text: str) -> str:
    """Return *text* without halves of characters, which JSON can name and UTF-8 can't."""
    return text.encode("utf-8", "replace").decode()


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    # albumentations, which img2dataset imports, would ask PyPI for newer releases.
    return kept | LIBRARIES | {"NO_ALBUMENTATIONS_UPDATE": "1", "WANDB_MODE": "disabled"}


def _find_python(settings: Img2datasetSettings) -> Path:
    if settings.python is not None:
        if not settings.python.is_file():
            raise UserError(
                f"There is no {settings.python}; set SNAP2CAPTION_IMG2DATASET_PYTHON to the Python of an environment with img2dataset."
            )
        return settings.python
    made = Path(sys.prefix) / "img2dataset" / "bin" / "python"
    if made.is_file():
        return made
    if importlib.util.find_spec("img2dataset") is None:
        raise UserError(
            "A table of URLs is downloaded by img2dataset, which is not installed; run `make url-tables`, or install it in an "
            "environment of its own with `pip install img2dataset`, and set SNAP2CAPTION_IMG2DATASET_PYTHON to its Python."
        )
    return Path(sys.executable)
