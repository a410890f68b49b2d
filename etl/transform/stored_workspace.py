"""Workspace in a store: its files are objects under a prefix, of which a stage has copies in a scratch folder."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from etl.place import store_at
from etl.transform.atomic_files import atomic_write, digest_of
from etl.transform.workspace import Workspace
from snap2caption.parallel import in_threads, map_ahead
from snap2caption.store import MissingError
from snap2caption.store.ranges import open_ranges

_THREADS = 8


class StoredWorkspace(Workspace):
    """Objects under *uri*, and copies of them in the scratch folder *folder*.

    There are no locks between machines. Two that do the same work put the same bytes, and a put is atomic.
    """

    def __init__(self, uri: str, folder: Path) -> None:
        super().__init__(folder)
        self.place = uri
        self._store = store_at(uri)

    def has(self, files: Iterable[Path]) -> list[bool]:
        """Ask for the objects."""
        return list(map_ahead(lambda file: self._store.exists(self._key(file)), files, _THREADS))

    def fetch(self, *files: Path) -> None:
        """Copy the objects that exist into the scratch folder."""
        for _ in in_threads(self._fetch, files, _THREADS):
            pass

    def keep(self, file: Path) -> None:
        """Put the file."""
        self._store.put(self._key(file), file, sha256=digest_of(file))

    def fetch_pairs(self, number: int) -> tuple[Path, int]:
        """Read the slice's row group, and nothing else of the table."""
        import pyarrow.parquet as pq

        slice_pairs = self.folder / f"pairs-{number:04d}.parquet"
        with open_ranges(self._store, self._key(self.pairs)) as stream:
            table = pq.ParquetFile(stream)
            pq.write_table(table.read_row_group(number), slice_pairs, row_group_size=table.metadata.num_rows)
        return slice_pairs, 0

    def remove(self) -> None:
        """Remove all objects."""
        self._store.delete_all([found.key for found in self._store.list()])

    def _fetch(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with (
                self._store.get(self._key(file)) as stream,
                atomic_write(file, synced=False) as part,
                part.open("wb") as copy,
            ):
                shutil.copyfileobj(stream, copy, 1 << 20)
        except MissingError:
            file.unlink(missing_ok=True)

    def _key(self, file: Path) -> str:
        return file.relative_to(self.folder).as_posix()
