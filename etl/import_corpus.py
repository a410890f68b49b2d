"""Corpus import: posts from any layout that a reader knows, as a corpus zip that the transform takes."""

import fcntl
import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from etl.readers.base import Reader, ReaderOptions, SkippedPost, SkipReason, SourcePost
from etl.readers.file_tree import FileTree, open_tree
from etl.readers.imagefolder import ImagefolderReader
from etl.readers.instagram import InstagramReader
from etl.readers.names import SeenNames
from etl.readers.photos import format_of
from etl.readers.rows import SUFFIXES
from etl.readers.sidecars import SidecarReader
from etl.readers.webdataset import WebDatasetReader
from etl.spooled_zip import SpooledZip
from etl.transform.archive.cities import ALL
from etl.transform.archive.members import MAX_CAPTION_BYTES, normalize_city
from etl.transform.atomic_files import sync
from etl.urls.downloader import Progress, UrlDownload, work_folder
from etl.urls.table import is_table
from snap2caption.datasets.corpus_members import caption_member, image_member, write_member
from snap2caption.errors import UserError

READERS: tuple[Reader, ...] = (InstagramReader(), ImagefolderReader(), WebDatasetReader(), SidecarReader())
"""In the order in which they are tried: the most specific layout first."""

URLS = "urls"
"""Name of the layout that is a table of URLs, which has no photos to read before they are downloaded."""

NO_GROUP = "posts"
"""Folder of posts without a group."""

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class ImportedCorpus:
    """What was imported: numbers of posts by group, and of skipped ones by reason."""

    path: Path
    reader: str
    groups: dict[str, int]
    skipped: dict[str, int]

    @property
    def posts(self) -> int:
        """Number of posts."""
        return sum(self.groups.values())


def import_corpus(
    source: Path,
    out: Path,
    *,
    reader: str | None = None,
    options: ReaderOptions | None = None,
    on_progress: Callable[[int], None] | None = None,
    on_download: Progress | None = None,
) -> ImportedCorpus:
    """Write the posts of *source* to the zip *out*, which appears whole or not at all.

    Photos and captions are copied as they are; the transform cleans and checks them. The same source gives the same
    bytes. Memory does not grow with the posts, except for a zip's directory that is read.

    Args:
        source: a folder or a zip, or a table of URLs, whose photos are downloaded first.
        out: the zip to write.
        reader: name of the layout's reader. None: it is detected.
        options: names of the columns for caption and group. None: the usual ones.
        on_progress: called with the number of posts and skipped posts since its last call.
        on_download: called with the numbers of downloaded rows and of all rows of a table of URLs.

    Raises:
        UserError: *source* does not exist, has no layout that a reader knows, or has no posts, or *out* can't be
            written, or no row has a column that *options* name.
    """
    if out.is_dir():
        raise UserError(f"{out} is a folder; give the name of the zip file to write.")
    asked = options or ReaderOptions()
    report = on_progress or (lambda _: None)
    if reader == URLS or (reader is None and is_table(source)):
        return _import_table(source, out, asked, report, on_download or (lambda _done, _total: None))
    if asked.url is not None:
        raise UserError(f"--url-column names a column of a table of URLs, which {source} is not; leave it out.")
    with open_tree(source) as tree:
        chosen = _choose(tree, reader)
        with _writing(out), _drafting(out) as (draft, _):
            imported = _write(draft, out, chosen.name, _counted(chosen.read(tree, asked), report))
            _require_columns(source, asked)
            if not imported.groups:
                raise _nothing_found(source, imported)
    return imported


def _import_table(
    source: Path, out: Path, options: ReaderOptions, report: Callable[[int], None], on_download: Progress
) -> ImportedCorpus:
    if not is_table(source):
        raise UserError(f"{source} is no table of URLs; give a file that ends in {', '.join(SUFFIXES)}.")
    with _writing(out), _drafting(out) as (draft, lock):
        download = UrlDownload(source, options, work_folder(out))
        download.run(lock, on_download)
        imported = _write(draft, out, URLS, _counted(download.posts(), report))
        if not imported.groups:
            # What failed is tried again by the next run.
            download.remove()
            raise _nothing_found(source, imported)
    download.remove()
    return imported


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise UserError(
            f"The corpus can't be written to {out} ({error.strerror or error}); free some space or choose another place."
        ) from error


@contextmanager
def _drafting(out: Path) -> Iterator[tuple[Path, int]]:
    """Yield the path to write to, and the descriptor of the lock; then rename the path to *out*.

    What a killed import left there is overwritten.
    """
    folder = os.open(out.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # imports into one folder take turns
        draft = out.with_name(f".{out.name}.draft")
        try:
            yield draft, folder
            sync(draft)
            draft.replace(out)
        finally:
            draft.unlink(missing_ok=True)
    finally:
        os.close(folder)


def _require_columns(source: Path, options: ReaderOptions) -> None:
    for name in (options.caption, options.group):
        if name is not None and name not in options.seen:
            there = ", ".join(sorted(options.seen)[:20]) or "none"
            raise UserError(f"Nothing in {source} has a column or key {name}; there are: {there}.")


def _choose(tree: FileTree, name: str | None) -> Reader:
    if name is not None:
        found = next((reader for reader in READERS if reader.name == name), None)
        if found is None:
            raise UserError(
                f"There is no reader {name}; choose among {', '.join([*(reader.name for reader in READERS), URLS])}."
            )
        return found
    found = next((reader for reader in READERS if reader.detect(tree)), None)
    if found is None:
        raise UserError(
            f"{tree.path} has no layout that is known: it needs photos with .txt or .json files of the same names, a "
            "metadata.jsonl, metadata.csv or metadata.parquet, WebDataset shards (.tar), or an Instagram export in JSON."
        )
    return found


def _counted(
    posts: Iterable[SourcePost | SkippedPost], report: Callable[[int], None]
) -> Iterator[SourcePost | SkippedPost]:
    for post in posts:
        yield post
        report(1)


def _write(draft: Path, out: Path, reader: str, posts: Iterable[SourcePost | SkippedPost]) -> ImportedCorpus:
    groups, skipped = Counter[str](), Counter[str]()
    with SpooledZip(draft) as archive, closing(SeenNames()) as seen:
        for post in posts:
            caption = b"" if isinstance(post, SkippedPost) else post.caption.encode("utf-8", "surrogatepass")
            if isinstance(post, SkippedPost):
                skipped[post.reason] += 1
            elif len(caption) > MAX_CAPTION_BYTES:
                skipped[SkipReason.OVERSIZED] += 1
            else:
                group, identifier = _group_of(post), _identifier(post.name)
                photo = image_member(group, identifier, post.photo, format_of(post.photo) or "jpg")
                if not seen.add(photo.name):
                    skipped[SkipReason.DUPLICATE] += 1
                    continue
                write_member(archive, photo)
                write_member(archive, caption_member(group, identifier, caption))
                groups[group] += 1
    return ImportedCorpus(out, reader, dict(sorted(groups.items())), dict(sorted(skipped.items())))


def _group_of(post: SourcePost) -> str:
    group = normalize_city(post.group or "")[:100] or NO_GROUP
    return f"{group}groups" if group == ALL else group


def _identifier(name: str) -> str:
    """Return an id that no other *name* has and that says where the post comes from."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    stem = _UNSAFE.sub("-", name.rsplit("/", 1)[-1].split(".")[0])[:80].strip("-")
    return f"{stem}-{digest}" if stem else digest


def _nothing_found(source: Path, imported: ImportedCorpus) -> UserError:
    why = ", ".join(f"{reason} {count}" for reason, count in imported.skipped.items()) or "nothing in it"
    return UserError(f"No post in {source} can be used, read as {imported.reader} ({why}).")
