"""Prefix of versions in a store: what an input has made is found again, and a version is published manifest last."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from etl.load import load
from etl.place import store_at
from etl.scratch import scratch_folder
from etl.transform.atomic_files import digest_of
from etl.transform.stored_workspace import StoredWorkspace
from etl.transform.workspace import Workspace
from snap2caption.datasets.manifest import NAME, Manifest
from snap2caption.errors import UserError
from snap2caption.names import is_version
from snap2caption.parallel import map_ahead
from snap2caption.store.documents import read_object

_THREADS = 8


class StoredSlot:
    """The slot under *uri* for the version that an input, named by its hash, produces.

    It has no locks: machines that do the same work at once write the same bytes.
    """

    def __init__(self, uri: str, name: str) -> None:
        self._uri = uri
        self._name = name
        self._store = store_at(uri)

    @contextmanager
    def locked(self, *, shared: bool = False) -> Iterator[None]:  # noqa: ARG002
        """Do nothing."""
        yield

    @contextmanager
    def workspace(self, slice_pairs: int) -> Iterator[Workspace]:
        """Open the input's work in progress, with a scratch folder for copies of its files.

        Each slice size has a prefix of its own.
        """
        with scratch_folder() as folder:
            yield StoredWorkspace(f"{self._uri}/.work-{self._name}-{slice_pairs}", folder)

    def existing(self) -> str | None:
        """Return the version that an earlier run made from the same input, if the store holds all of it unchanged."""
        version = (read_object(self._store, self._record) or b"").decode("ascii", "replace")
        if not is_version(version):
            return None
        content = read_object(self._store, f"{version}/{NAME}")
        digest = read_object(self._store, f".inputs/version-{version}")
        if content is None or digest != hashlib.sha256(content).hexdigest().encode():
            return None
        where = f"{self._uri}/{version}"
        try:
            files = Manifest.parse(content, f"{where}/{NAME}").files()
        except UserError:
            return None
        whole = map_ahead(lambda file: self._store.exists(f"{version}/{file.name}", file.sha256), files, _THREADS)
        return where if all(whole) else None

    def publish(self, draft: Path, manifest: Manifest) -> str:
        """Upload the version of *manifest* from the folder *draft*, the manifest last; record it, and remove the input's
        work.
        """
        where = load(draft, self._uri)
        self._note(f".inputs/version-{manifest.version}", digest_of(draft / NAME))
        self._note(self._record, manifest.version)
        self.discard()
        return where

    def put_beside(self, file: Path, name: str) -> None:
        """Put *file* beside the versions."""
        self._store.put(name, file, sha256=digest_of(file))

    def discard(self) -> None:
        """Remove the input's work in progress, the plans first: without its plan, other work is not used."""
        found = [one.key for one in self._store.list(f".work-{self._name}-")]
        self._store.delete_all([key for key in found if key.endswith("/plan.json")])
        self._store.delete_all([key for key in found if not key.endswith("/plan.json")])

    @property
    def _record(self) -> str:
        return f".inputs/{self._name}"

    def _note(self, key: str, text: str) -> None:
        self._store.put(key, text.encode(), sha256=hashlib.sha256(text.encode()).hexdigest())
