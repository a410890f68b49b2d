"""Reader of an imagefolder: photos, and a table ``metadata.jsonl``, ``.csv`` or ``.parquet`` with their captions.

Source: Hugging Face Datasets, "Create an image dataset", ImageFolder.
"""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from etl.readers.base import ReaderOptions, SkippedPost, SkipReason, SourcePost
from etl.readers.captions import caption_in, group_in
from etl.readers.file_tree import FileTree
from etl.readers.photos import read_photo
from etl.readers.rows import FAULTS, rows
from snap2caption.errors import UserError

_TABLES = ("metadata.jsonl", "metadata.csv", "metadata.parquet")
_FILE_NAME = "file_name"


class ImagefolderReader:
    """Reads an imagefolder. A table may stand in each folder, and names files relative to it."""

    name = "imagefolder"

    def detect(self, tree: FileTree) -> bool:
        """Return whether there is a table."""
        return any(_tables(tree))

    def read(self, tree: FileTree, options: ReaderOptions) -> Iterator[SourcePost | SkippedPost]:
        """Yield a post for each row of each table."""
        for table in _tables(tree):
            folder = PurePosixPath(table).parent
            try:
                with tree.open(table) as stream:
                    for row in rows(table, stream):
                        yield _post(tree, folder, row, options)
            except FAULTS as error:
                raise UserError(
                    f"{table} in {tree.path} can't be read ({error}); correct it, then try again."
                ) from error


def _tables(tree: FileTree) -> Iterator[str]:
    return (name for name in tree.names() if PurePosixPath(name).name in _TABLES)


def _post(
    tree: FileTree, folder: PurePosixPath, row: Mapping[str, object], options: ReaderOptions
) -> SourcePost | SkippedPost:
    file = row.get(_FILE_NAME)
    if not isinstance(file, str) or not file:
        raise ValueError(f"a row has no {_FILE_NAME}")
    name = (folder / file).as_posix()
    caption = caption_in(row, options)
    if caption is None:
        return SkippedPost(name, SkipReason.MISSING_CAPTION)
    photo = read_photo(tree, name)
    return photo if isinstance(photo, SkippedPost) else SourcePost(name, photo, caption, group_in(row, options))
