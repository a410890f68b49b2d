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
    again, the result is the same.

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
    withdrawn, broken = [], []
    # Hold the lock, so that no version is built from data that is being deleted here.
    with work_folder(state):
        for version, files in _files(versions).items():
            if NAME not in files:
                _delete_unfinished(versions, version, files)
                continue
            try:
                dataset = DatasetVersion.open(f"{versions.uri}/{version}")
            except StoreError:
                raise
            except UserError as error:
                # A version that can't be read must not keep others from being withdrawn.
                broken.append(str(error))
                continue
            if dataset.manifest.feedback and gone & dataset.manifest.feedback.samples.keys():
                if dataset.manifest.withdrawn is None:
                    withdrawn.append(version)
                _empty(versions, version, files, dataset, shards)
    if broken:
        raise UserError(
            f"A version can't be checked for erased feedback: {broken[0]} Delete or repair it, then run again."
        )
    return withdrawn


def _files(versions: ObjectStore) -> dict[str, dict[str, ObjectInfo]]:
    """Return the files of each version, by name."""
    found: defaultdict[str, dict[str, ObjectInfo]] = defaultdict(dict)
    for info in versions.list():
        version, _, name = info.key.partition("/")
        if is_file_name(version):
            found[version][name] = info
    return found


def _empty(
    versions: ObjectStore, version: str, files: dict[str, ObjectInfo], dataset: DatasetVersion, shards: Path
) -> None:
    """Delete everything of a version except its manifest and its splits, in the store and on this machine."""
    manifest = dataset.manifest
    if manifest.withdrawn is None:
        manifest = manifest.model_copy(update={"withdrawn": datetime.now(UTC)})
        content = manifest.dump()
        versions.put(f"{version}/{NAME}", content, sha256=hashlib.sha256(content).hexdigest())
    kept = {NAME, manifest.assignments.name if manifest.assignments else NAME}
    versions.delete_all([f"{version}/{name}" for name in files.keys() - kept])
    for file in manifest.files():
        dataset.drop(file, shards)


def _delete_unfinished(versions: ObjectStore, version: str, files: dict[str, ObjectInfo]) -> None:
    if max(info.modified for info in files.values()) < datetime.now(UTC) - _UNFINISHED:
        versions.delete_all([f"{version}/{name}" for name in files])
