"""Reader of photos with sidecars: each photo beside a ``.txt`` or ``.json`` file of the same name.

Trainers of image models take this layout, and gallery-dl and instaloader write it.
"""

from collections.abc import Iterator
from pathlib import PurePosixPath

from etl.readers.base import ReaderOptions, SkippedPost, SkipReason, SourcePost
from etl.readers.captions import CaptionError, caption_in, decode, group_in, parse
from etl.readers.file_tree import FileTree, Names, OversizedError, folder_of
from etl.readers.photos import is_photo, read_photo
from etl.transform.archive.members import MAX_CAPTION_BYTES

_MAX_JSON = 1 << 20


class SidecarReader:
    """Reads photos with sidecars. Without a column for it, the group is the photo's folder."""

    name = "sidecars"

    def detect(self, tree: FileTree) -> bool:
        """Return whether any photo has a sidecar."""
        names = tree.names()
        return any(is_photo(name) and _sidecar(name, names) for name in names)

    def read(self, tree: FileTree, options: ReaderOptions) -> Iterator[SourcePost | SkippedPost]:
        """Yield a post for each photo."""
        names = tree.names()
        for name in filter(is_photo, names):
            sidecar = _sidecar(name, names)
            yield _post(tree, name, sidecar, options) if sidecar else SkippedPost(name, SkipReason.MISSING_CAPTION)


def _sidecar(photo: str, names: Names) -> str | None:
    """Return the photo's sidecar. Some tools replace the photo's ending, others append to it."""
    stem = PurePosixPath(photo).with_suffix("").as_posix()
    return next(
        (name for name in (f"{stem}.txt", f"{stem}.json", f"{photo}.txt", f"{photo}.json") if name in names), None
    )


def _post(tree: FileTree, name: str, sidecar: str, options: ReaderOptions) -> SourcePost | SkippedPost:
    group: str | None = folder_of(name) or None
    try:
        if sidecar.endswith(".json"):
            row = parse(tree.read(sidecar, _MAX_JSON))
            caption = caption_in(row, options)
            group = group_in(row, options) or group
        else:
            caption = decode(tree.read(sidecar, MAX_CAPTION_BYTES))
    except CaptionError:
        return SkippedPost(name, SkipReason.UNREADABLE_CAPTION)
    except OversizedError:
        return SkippedPost(name, SkipReason.OVERSIZED)
    if caption is None or not caption.strip():
        return SkippedPost(name, SkipReason.MISSING_CAPTION)
    photo = read_photo(tree, name)
    return photo if isinstance(photo, SkippedPost) else SourcePost(name, photo, caption, group)
