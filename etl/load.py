"""Load: parallel upload of a dataset version to an object store, the manifest last."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from etl.place import Place
from etl.scratch import scratch_folder
from snap2caption.datasets.manifest import NAME, PRUNING, File, Manifest
from snap2caption.datasets.version import DatasetVersion
from snap2caption.errors import UserError
from snap2caption.parallel import in_threads
from snap2caption.store import ObjectStore, SourceError, open_store

_THREADS = 8


def load(dataset: Place, uri: str, *, on_progress: Callable[[int, int], None] | None = None) -> str:
    """Upload the version at *dataset* to ``<uri>/<version>/``.

    Objects that exist with the right digest are skipped, so an interrupted run resumes, and an object that was
    damaged in the store is replaced. The manifest comes last: where it exists, everything exists. Nothing is
    ever deleted first: a version's name identifies its content.

    Args:
        dataset: the folder that `transform` made, or the URI, which may be the destination itself.
        uri: ``file://``, ``s3://`` or ``swift://``.
        on_progress: called with the files done and their total.

    Returns:
        The version's URI.

    Raises:
        UserError: a file differs from the manifest.
        StoreError: the store refused or is unavailable.
    """
    manifest = Manifest.read(dataset) if isinstance(dataset, Path) else DatasetVersion.open(dataset).manifest
    where = f"{uri.rstrip('/')}/{manifest.version}"
    store = open_store(where)
    _check_not_being_removed(store)
    files = manifest.files()
    report = on_progress or (lambda _done, _total: None)
    for done, _ in enumerate(
        in_threads(lambda file: _upload(store, file, dataset, manifest), files, _THREADS), start=1
    ):
        report(done, len(files) + 1)
    content = manifest.dump()
    digest = hashlib.sha256(content).hexdigest()
    if not store.exists(NAME, digest):
        store.put(NAME, content, sha256=digest)
    _check_not_being_removed(store)
    report(len(files) + 1, len(files) + 1)
    return where


def _check_not_being_removed(store: ObjectStore) -> None:
    if store.exists(PRUNING):
        raise UserError(
            f"{store.uri} is being removed by `snap2caption datasets prune`; let it finish, or run it again, then load "
            "again."
        )


def _upload(store: ObjectStore, file: File, dataset: Place, manifest: Manifest) -> None:
    if store.exists(file.name, file.sha256):
        return
    if not isinstance(dataset, Path):
        with scratch_folder() as folder:
            copy = DatasetVersion(dataset, manifest).fetch(file, folder)
            store.put(file.name, copy, sha256=file.sha256)
        return
    path = manifest.find(file, dataset)
    try:
        store.put(file.name, path, sha256=file.sha256)
    except SourceError as error:
        raise UserError(
            f"{path} is missing, or is not what its manifest says; run `transform` on the corpus again "
            "(in Airflow the DAG `etl`), which replaces what is damaged."
        ) from error
