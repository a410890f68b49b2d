"""Reader of WebDataset shards: tar files in which a sample's files are neighbors and share the name before the dot.

img2dataset writes them, as does this project's transform. Source: the WebDataset format specification.
"""

import tarfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import BinaryIO

from etl.readers.base import ReaderOptions, SkippedPost, SkipReason, SourcePost
from etl.readers.captions import CaptionError, caption_in, decode, group_in, parse
from etl.readers.file_tree import FileTree
from etl.readers.photos import OTHERS, SUFFIXES, VIDEOS, check_photo
from etl.transform.archive.members import MAX_IMAGE_BYTES
from snap2caption.errors import UserError

_TEXTS = frozenset({".txt", ".json"})


class WebDatasetReader:
    """Reads WebDataset shards one after the other, each once from its start to its end."""

    name = "webdataset"

    def detect(self, tree: FileTree) -> bool:
        """Return whether there are tar files."""
        return any(_shards(tree))

    def read(self, tree: FileTree, options: ReaderOptions) -> Iterator[SourcePost | SkippedPost]:
        """Yield a post for each sample with a photo."""
        for shard in _shards(tree):
            try:
                with tree.open(shard) as stream:
                    for key, parts in _samples(stream):
                        yield _post(f"{shard}/{key}", parts, options)
            except (tarfile.TarError, EOFError) as error:
                raise UserError(
                    f"{shard} in {tree.path} is damaged or cut off ({error}); get a new copy of it."
                ) from error


def _shards(tree: FileTree) -> Iterator[str]:
    return (name for name in tree.names() if name.endswith((".tar", ".tar.gz", ".tgz")))


def _samples(stream: BinaryIO) -> Iterator[tuple[str, dict[str, bytes | None]]]:
    """Yield each sample's key and its files by their endings; None: the file is too large."""
    current, parts = None, dict[str, bytes | None]()
    with tarfile.open(fileobj=stream, mode="r|*") as archive:
        while (member := archive.next()) is not None:
            # tarfile keeps every member, although a stream can't go back to any.
            archive.members.clear()  # type: ignore[attr-defined]  # it has no types
            name = PurePosixPath(member.name)
            stem, dot, suffix = name.name.partition(".")
            if not member.isfile() or not stem or not dot:
                continue
            key = (name.parent / stem).as_posix()
            if key != current:
                if current is not None and parts:
                    yield current, parts
                current, parts = key, {}
            # Only the last part counts, so that `photo.jpg` under the key is a photo.
            ending = f".{suffix.lower().rpartition('.')[2]}"
            if ending in _TEXTS | SUFFIXES | OTHERS | VIDEOS:
                content = archive.extractfile(member) if member.size <= MAX_IMAGE_BYTES else None
                parts[ending] = content.read() if content else None
    if current is not None and parts:
        yield current, parts


def _post(name: str, parts: dict[str, bytes | None], options: ReaderOptions) -> SourcePost | SkippedPost:
    ending = next((ending for ending in parts if ending in SUFFIXES | OTHERS), None)
    if ending is None:
        is_video = not VIDEOS.isdisjoint(parts)
        return SkippedPost(name, SkipReason.VIDEO if is_video else SkipReason.MISSING_IMAGE)
    content = parts[ending]
    photo = SkippedPost(name, SkipReason.OVERSIZED) if content is None else check_photo(name, content)
    if isinstance(photo, SkippedPost):
        return photo
    try:
        row = parse(parts.get(".json") or b"{}")
        # A caption that was asked for by its name is in the JSON.
        text = parts.get(".txt") if options.caption is None else None
        caption = decode(text) if text else caption_in(row, options)
    except CaptionError:
        return SkippedPost(name, SkipReason.UNREADABLE_CAPTION)
    if caption is None or not caption.strip():
        return SkippedPost(name, SkipReason.MISSING_CAPTION)
    return SourcePost(name, photo, caption, group_in(row, options))
