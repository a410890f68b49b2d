"""Zip writer whose directory lies on disk until it is written, so that memory does not grow with the members."""

import json
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

_FIELDS = (
    "filename", "compress_type", "create_system", "external_attr", "flag_bits", "header_offset", "CRC", "compress_size", "file_size",
)  # fmt: skip
"""What an entry of the directory says of a member that `snap2caption.datasets.corpus_members` wrote."""


class SpooledZip(zipfile.ZipFile):
    """A zip to write. It takes names as they come: whoever writes makes sure that each occurs once.

    `zipfile` keeps an object of about 400 bytes per member in `filelist`, and another reference to it by its name. It
    appends to the one, and goes through it once, at the end.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w")
        self._entries = _Entries(path.parent)
        self.filelist = self._entries  # type: ignore[assignment]
        self.NameToInfo = _Forgetful()

    def close(self) -> None:
        """Write the directory, and remove the file that it was kept in."""
        try:
            super().close()
        finally:
            self._entries.close()


class _Entries:
    """Entries of the directory, as lines of JSON in a file without a name."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile("w+", dir=folder, encoding="ascii")  # noqa: SIM115  (it lives as long as the zip)
        self._count = 0

    def append(self, info: zipfile.ZipInfo) -> None:
        self._file.write(json.dumps([getattr(info, name) for name in _FIELDS]) + "\n")
        self._count += 1

    def close(self) -> None:
        self._file.close()

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[zipfile.ZipInfo]:
        self._file.seek(0)
        for line in self._file:
            info = zipfile.ZipInfo()
            for name, value in zip(_FIELDS, json.loads(line), strict=True):
                setattr(info, name, value)
            yield info


class _Forgetful(dict[str, zipfile.ZipInfo]):
    def __setitem__(self, name: str, info: zipfile.ZipInfo) -> None:
        """Forget it."""
