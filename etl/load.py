"""Load: a dataset version into an object store, in parallel, the manifest last."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from snap2caption.errors import UserError
from snap2caption.manifest import NAME, File, Manifest
from snap2caption.store import ObjectStore, open_store

_THREADS = 8


def load(dataset: Path, uri: str, *, on_progress: Callable[[int, int], None] | None = None) -> str:
    """Upload the version in the folder *dataset* to ``<uri>/<version>/``.

    Objects that are there with the right digest are skipped, so a run that was cut off goes on. The manifest goes last: where it is, everything
    is, and nothing of it is ever deleted or replaced, since a version's name stands for its content.

    Args:
        dataset: the folder that `transform` made.
        uri: ``file://``, ``s3://`` or ``swift://``.
        on_progress: told files done and in all.

    Returns:
        The version's URI.

    Raises:
        UserError: a file is not what the manifest says.
        StoreError: the store refused or is away.
    """
    manifest = Manifest.read(dataset)
    where = f"{uri.rstrip('/')}/{manifest.version}"
    store = open_store(where)
    files = manifest.files()
    report = on_progress or (lambda _done, _total: None)
    if store.exists(NAME):
        report(len(files) + 1, len(files) + 1)
        return where
    with ThreadPoolExecutor(_THREADS) as pool:
        uploads = [pool.submit(_upload, store, dataset, file) for file in files]
        try:
            for done, upload in enumerate(as_completed(uploads), start=1):
                upload.result()
                report(done, len(files) + 1)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    content = manifest.dump()
    store.put(NAME, content, sha256=hashlib.sha256(content).hexdigest())
    report(len(files) + 1, len(files) + 1)
    return where


def _upload(store: ObjectStore, dataset: Path, file: File) -> None:
    if store.exists(file.name, file.sha256):
        return
    path = dataset / file.name
    try:
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path} can't be read ({error.strerror}); make the dataset again with `transform`.") from error
    if found != file.sha256:
        raise UserError(f"{path} is not what its manifest says; make the dataset again with `transform`.")
    store.put(file.name, path, sha256=file.sha256)
