"""Read-only file tree over a folder or a zip."""

import errno
import os
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol, cast

from etl.readers.names import SortedNames
from snap2caption.errors import UserError


class Names(Protocol):
    """Names in alphabetical order, which can be gone through again and again."""

    def __iter__(self) -> Iterator[str]: ...

    def __contains__(self, name: str, /) -> bool: ...


class OversizedError(Exception):
    """The file is larger than the caller's limit."""


class FileTree(Protocol):
    """Files of a source by their paths, which are relative and have ``/`` between folders."""

    path: Path
    """The folder or zip."""

    def names(self) -> "Names":
        """Return the paths of all files in alphabetical order. Hidden files and folders are left out."""
        ...

    def open(self, name: str) -> BinaryIO:
        """Open a file.

        Raises:
            FileNotFoundError: there is none.
        """
        ...

    def read(self, name: str, limit: int) -> bytes:
        """Return a file's bytes.

        Raises:
            FileNotFoundError: there is none.
            OversizedError: it has more than *limit* bytes.
        """
        ...


class FolderTree:
    """Regular files in a folder. Links are not followed, as they may lead out of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._names = SortedNames(self._walk(path))

    def names(self) -> SortedNames:
        """Return the paths of all files."""
        return self._names

    def close(self) -> None:
        """Forget the paths."""
        self._names.close()

    def open(self, name: str) -> BinaryIO:
        """Open a file."""
        file = self.path / name
        try:
            # Names also come from tables and JSON in the source, which may be anyone's.
            if not _is_inside(name) or not file.resolve().is_relative_to(self.path.resolve()) or not file.is_file():
                raise FileNotFoundError(name)
            return file.open("rb")
        except FileNotFoundError:
            raise
        except ValueError as error:  # no file system has such a name
            raise FileNotFoundError(name) from error
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise FileNotFoundError(name) from error
            raise UserError(f"{file} can't be read ({error.strerror}); check its permissions and the disk.") from error

    def read(self, name: str, limit: int) -> bytes:
        """Return a file's bytes."""
        with self.open(name) as stream:
            return _read(stream, limit)

    @staticmethod
    def _walk(path: Path) -> Iterator[str]:
        # os.walk would hold all names of a folder.
        folders = [path]
        while folders:
            folder = folders.pop()
            # As with os.walk, a folder that can't be read is empty.
            with suppress(OSError), os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(folder / entry.name)
                    elif entry.is_file(follow_symlinks=False):
                        yield (folder / entry.name).relative_to(path).as_posix()


class ZipTree:
    """Files in a zip."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path = path
        self._archive = archive
        infos = (info for info in archive.infolist() if not info.is_dir() and not _is_hidden(info.filename))
        self._infos = {info.filename: info for info in sorted(infos, key=lambda info: info.filename)}

    def names(self) -> "Names":
        """Return the paths of all files."""
        return self._infos

    def open(self, name: str) -> BinaryIO:
        """Open a file."""
        if name not in self._infos:
            raise FileNotFoundError(name)
        try:
            return cast("BinaryIO", self._archive.open(self._infos[name]))
        except (RuntimeError, NotImplementedError, zipfile.BadZipFile) as error:
            raise UserError(
                f"{name} in {self.path} can't be read ({error}); unpack the zip, and import the folder."
            ) from error

    def read(self, name: str, limit: int) -> bytes:
        """Return a file's bytes."""
        with self.open(name) as stream:
            try:
                return _read(stream, limit)
            except zipfile.BadZipFile as error:
                raise UserError(f"{self.path} is damaged at {name} ({error}); get a new copy of it.") from error


@contextmanager
def open_tree(path: Path) -> Iterator[FileTree]:
    """Open the folder or zip at *path*.

    Raises:
        UserError: there is nothing, or it is neither a folder nor a zip.
    """
    try:
        if path.is_dir():
            with closing(FolderTree(path)) as tree:
                yield tree
            return
        with zipfile.ZipFile(path) as archive:
            yield ZipTree(path, archive)
    except zipfile.BadZipFile as error:
        raise UserError(f"{path} is neither a folder nor a zip that can be read ({error}).") from error
    except FileNotFoundError as error:
        if error.filename != str(path):
            raise
        raise UserError(f"There is nothing at {path}; give a folder or a zip with photos and captions.") from error


def folder_of(name: str) -> str:
    """Return the name of the folder that holds the file *name*; empty at the top."""
    return PurePosixPath(name).parent.name


def _read(stream: BinaryIO, limit: int) -> bytes:
    data = stream.read(limit + 1)
    if len(data) > limit:
        raise OversizedError
    return data


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def _is_inside(name: str) -> bool:
    return "\0" not in name and not PurePosixPath(name).is_absolute() and ".." not in PurePosixPath(name).parts
