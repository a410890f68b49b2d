"""Withdrawal of dataset versions that hold erased feedback.

Their photos and texts are deleted, from the store and from the shards that this machine downloaded. The
manifest and the splits remain, which refer to feedback by its id alone: later versions build on the splits, and
a model can be traced to what it learned from. The indexes of the feedback store forget erased feedback, too.
"""

import hashlib
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from etl.feedback.record_facts import record_index
from etl.feedback.records import erased
from etl.feedback.validate import judgment_index
from etl.feedback.versions import versions_uri, work_folder
from etl.feedback.withdrawal.searched_versions import SearchedVersion, read_searched, tag_of, write_searched
from snap2caption.datasets.manifest import NAME
from snap2caption.datasets.version import DatasetVersion
from snap2caption.errors import UserError
from snap2caption.names import is_file_name
from snap2caption.store import ObjectInfo, ObjectStore, StoreError, open_store

_UNFINISHED = timedelta(days=1)
"""Age from which a version without a manifest counts as the remains of a killed upload."""


def withdraw(feedback_uri: str, datasets_uri: str, state: Path, shards: Path) -> list[str]:
    """Withdraw the versions that hold feedback which was erased since, and return those that were not withdrawn
    before.

    A version's manifest is marked first: from then on nobody reads its shards. If killed at any point and run
    again, the result is the same. Manifests of versions that are known here are read only if feedback in one of them
    was erased.

    Args:
        feedback_uri: the feedback store.
        datasets_uri: where dataset versions are loaded to.
        state: the folder for work in progress.
        shards: where this machine keeps downloaded shards.

    Raises:
        StoreError: a store refused or is unavailable.
        UserError: a manifest is broken; all other versions were processed.
    """
    feedback, versions = open_store(feedback_uri), open_store(versions_uri(datasets_uri))
    gone = erased(feedback)
    if gone:
        record_index(feedback).forget(gone)
        judgment_index(feedback).forget(gone)
    with work_folder(state):
        # The lock keeps a version from being built of data that is being deleted here.
        run = _Withdrawal(feedback.uri, versions, gone, state / "feedback", shards)
        run.search()
    if run.broken:
        raise UserError(
            f"A version can't be checked for erased feedback: {run.broken[0]} Delete or repair it, then run again."
        )
    return run.withdrawn


class _Withdrawal:
    """A run over all versions. *withdrawn* and *broken* say what it has found."""

    def __init__(self, feedback_uri: str, versions: ObjectStore, gone: set[str], folder: Path, shards: Path) -> None:
        self.withdrawn: list[str] = []
        self.broken: list[str] = []
        self._versions = versions
        self._gone = gone
        self._folder = folder
        self._shards = shards
        self._before = read_searched(folder, (feedback_uri, versions.uri, str(shards)))
        self._all = bool(gone.intersection(self._before.learned))
        """Whether a version that was searched before has lost feedback since."""
        self._after: dict[str, SearchedVersion] = {}
        self._learned: set[str] = set() if self._all else set(self._before.learned)

    def search(self) -> None:
        """Search the versions that are new or changed; all that are not withdrawn, if one has lost feedback."""
        for version, files in _files(self._versions).items():
            if NAME not in files:
                _delete_unfinished(self._versions, version, files)
                continue
            before = self._before.versions.get(version)
            if before and before.tag == tag_of(files) and (before.withdrawn or not self._all):
                self._after[version] = before
                continue
            try:
                dataset = DatasetVersion.open(f"{self._versions.uri}/{version}")
            except StoreError:
                raise
            except UserError as error:
                # A version that can't be read must not keep others from being withdrawn.
                self.broken.append(str(error))
                continue
            self._search(version, files, dataset)
        # Last: if this is killed before, the versions are searched again.
        searched = self._before.model_copy(update={"versions": self._after, "learned": tuple(sorted(self._learned))})
        if searched != self._before:
            write_searched(self._folder, searched)

    def _search(self, version: str, files: dict[str, ObjectInfo], dataset: DatasetVersion) -> None:
        manifest = dataset.manifest
        learned = manifest.feedback.samples.keys() if manifest.feedback else set[str]()
        if not self._gone & learned:
            self._learned |= learned
            self._after[version] = SearchedVersion(tag=tag_of(files), withdrawn=False)
            return
        if manifest.withdrawn is None:
            self.withdrawn.append(version)
        kept = {NAME, manifest.assignments.name if manifest.assignments else NAME}
        _empty(self._versions, version, files.keys() - kept, dataset, self._shards)
        # One that had files until now has another listing, and is searched once more.
        if manifest.withdrawn is not None and files.keys() <= kept:
            self._after[version] = SearchedVersion(tag=tag_of(files), withdrawn=True)


def _files(versions: ObjectStore) -> dict[str, dict[str, ObjectInfo]]:
    """Return the files of each version, by name."""
    found: defaultdict[str, dict[str, ObjectInfo]] = defaultdict(dict)
    for info in versions.list():
        version, _, name = info.key.partition("/")
        if is_file_name(version):
            found[version][name] = info
    return found


def _empty(versions: ObjectStore, version: str, emptied: set[str], dataset: DatasetVersion, shards: Path) -> None:
    """Delete the files named *emptied* of a version, in the store and on this machine, and say so in its manifest."""
    manifest = dataset.manifest
    if manifest.withdrawn is None:
        manifest = manifest.model_copy(update={"withdrawn": datetime.now(UTC)})
        content = manifest.dump()
        versions.put(f"{version}/{NAME}", content, sha256=hashlib.sha256(content).hexdigest())
    versions.delete_all([f"{version}/{name}" for name in emptied])
    for file in manifest.files():
        dataset.drop(file, shards)


def _delete_unfinished(versions: ObjectStore, version: str, files: dict[str, ObjectInfo]) -> None:
    if max(info.modified for info in files.values()) < datetime.now(UTC) - _UNFINISHED:
        versions.delete_all([f"{version}/{name}" for name in files])
