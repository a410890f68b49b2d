"""Integrity check of a dataset version in its store: reads every file, decodes every photo, reports all faults."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import BinaryIO

from snap2caption.datasets.manifest import NAME, File, Manifest, Shard, SplitSummary
from snap2caption.datasets.shards import read_stream
from snap2caption.datasets.version import DatasetVersion
from snap2caption.errors import UserError
from snap2caption.images import ImageError, decode
from snap2caption.store import StoreError, open_store

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, order=True)
class IntegrityIssue:
    """A fault in a file of the version, in words."""

    file: str
    fault: str


@dataclass(slots=True)
class _Content:
    """Contents found in a file."""

    ids: list[str] = field(default_factory=list)
    cities: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def verify(dataset: DatasetVersion, *, on_progress: Callable[[int, int], None] | None = None) -> list[IntegrityIssue]:
    """Read every file of the version, in parallel and without storing any, and return its faults, sorted by
    file name.

    It checks digests and sizes, that each photo decodes, that the numbers of samples, cities and splits match
    the manifest, that no id occurs twice, and that there is no file that the manifest does not list.

    Args:
        dataset: the version.
        on_progress: called with the files done and their total.
    """
    report = on_progress or (lambda _done, _total: None)
    shards = {shard.name: shard for split in dataset.manifest.splits.values() for shard in split.shards}
    files = dataset.manifest.files()
    contents: dict[str, _Content] = {}
    # Decoding releases the GIL, so threads are enough to keep every processor busy.
    with ThreadPoolExecutor(2 * (os.cpu_count() or 1)) as pool:
        readings = {pool.submit(_read, dataset, shards.get(file.name, file)): file.name for file in files}
        try:
            for done, reading in enumerate(as_completed(readings), start=1):
                contents[readings[reading]] = reading.result()
                report(done, len(files))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    found = [IntegrityIssue(name, fault) for name, content in contents.items() for fault in content.faults]
    found += _unlisted_faults(dataset, {NAME, *(file.name for file in files)})
    found += _manifest_faults(dataset.manifest)
    found += _city_faults(dataset.manifest, contents)
    found += _duplicate_faults([file.name for file in files], contents)
    return sorted(found)


class _Digesting:
    """Stream wrapper that counts and hashes what is read from it."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._digest = hashlib.sha256()
        self.size = 0

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size)
        self._digest.update(data)
        self.size += len(data)
        return data

    def finish(self) -> str:
        """Read the rest, and return the digest."""
        while self.read(_CHUNK):
            pass
        return self._digest.hexdigest()


def _read(dataset: DatasetVersion, file: File | Shard) -> _Content:
    content = _Content()
    try:
        with dataset.stream(file) as source:
            stream = _Digesting(source)
            if isinstance(file, Shard):
                _read_samples(stream, file, content)
            digest = stream.finish()
    except StoreError as error:
        content.faults.append(str(error))
        return content
    if stream.size != file.bytes:
        content.faults.append(f"has {stream.size} bytes; the manifest says {file.bytes}")
    if digest != file.sha256:
        content.faults.append(f"has the SHA-256 {digest}; the manifest says {file.sha256}")
    return content


def _read_samples(stream: _Digesting, shard: Shard, content: _Content) -> None:
    try:
        for sample in read_stream(stream, shard.name):  # type: ignore[arg-type]
            content.ids.append(sample.id)
            content.cities[sample.city] += 1
            try:
                decode(sample.photo())
            except ImageError as error:
                content.faults.append(f"the photo of {sample.id} does not decode ({error.reason})")
    except StoreError:
        raise
    except UserError as error:
        content.faults.append(str(error))
    if len(content.ids) != shard.samples:
        content.faults.append(f"holds {len(content.ids)} samples; the manifest says {shard.samples}")
    if shard.cities is not None and content.cities != shard.cities:
        content.faults.append(f"holds {_counts(content.cities)}; the manifest says {_counts(shard.cities)}")


def _unlisted_faults(dataset: DatasetVersion, listed: Collection[str]) -> Iterator[IntegrityIssue]:
    for found in open_store(dataset.uri).list():
        # Consoles and mounts mark a folder with an empty object.
        if found.key not in listed and found.key.strip("/") and not (found.key.endswith("/") and found.size == 0):
            yield IntegrityIssue(found.key, "is not in the manifest; remove it, or move it elsewhere")


def _manifest_faults(manifest: Manifest) -> Iterator[IntegrityIssue]:
    """Yield the manifest's contradictions."""
    for split, summary in manifest.splits.items():
        in_shards = sum(shard.samples for shard in summary.shards)
        if in_shards != summary.samples:
            yield IntegrityIssue(
                NAME, f"says that {split} has {summary.samples} samples, and that its shards have {in_shards}"
            )
        in_cities = sum(summary.cities.values())
        if in_cities != summary.samples:
            yield IntegrityIssue(
                NAME, f"says that {split} has {summary.samples} samples, and that its cities have {in_cities}"
            )


def _city_faults(manifest: Manifest, contents: dict[str, _Content]) -> Iterator[IntegrityIssue]:
    for split, summary in manifest.splits.items():
        found = _cities(summary, contents)
        if found != summary.cities:
            yield IntegrityIssue(
                NAME, f"says that {split} has {_counts(summary.cities)}; its shards hold {_counts(found)}"
            )


def _cities(summary: SplitSummary, contents: dict[str, _Content]) -> Counter[str]:
    return sum((contents[shard.name].cities for shard in summary.shards), Counter[str]())


def _duplicate_faults(names: Sequence[str], contents: dict[str, _Content]) -> Iterator[IntegrityIssue]:
    """Yield one fault per pair of files that share ids, however many ids."""
    holder: dict[str, str] = {}
    shared: dict[tuple[str, str], list[str]] = {}
    for name in dict.fromkeys(names):
        for id_ in contents[name].ids:
            first = holder.setdefault(id_, name)
            shared.setdefault((name, first), []).append(id_)
        # Ids that occur more than once in this file, counted from their first appearance.
        own = shared.pop((name, name), [])
        twice = [id_ for id_, times in Counter(own).items() if times > 1]
        if twice:
            yield IntegrityIssue(name, f"holds {len(twice)} ids more than once, such as {min(twice)}")
    for (name, first), ids in shared.items():
        yield IntegrityIssue(name, f"holds {len(ids)} ids that {first} holds too, such as {min(ids)}")


def _counts(cities: dict[str, int]) -> str:
    return ", ".join(f"{city} {count}" for city, count in sorted(cities.items()) if count) or "nothing"
