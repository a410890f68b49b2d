"""Listing of the dataset versions in a store, and lookup of one by its name."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from etl.feedback.versions import versions_uri
from snap2caption.datasets.manifest import NAME, PRUNING, Manifest, Split
from snap2caption.datasets.version import DatasetVersion
from snap2caption.errors import UserError
from snap2caption.formats.documents import FrozenModel
from snap2caption.names import is_version
from snap2caption.store import ObjectInfo, open_store
from snap2caption.store.documents import read_objects

Kind = Literal["corpus", "feedback"]

_FEEDBACK = versions_uri("").strip("/")
_SHORTEST = 4


class ListedVersion(FrozenModel):
    """A version in a store. Its *manifest* is None if it is not complete, or not readable."""

    version: str
    kind: Kind
    uri: str
    modified: datetime
    """When the last of its objects was stored, by the store's clock."""
    keys: tuple[str, ...]
    """Its objects, relative to the store that was listed."""
    bytes: int
    manifest: Manifest | None
    fault: str | None = None
    """Why a manifest that exists can't be read."""

    @property
    def has_manifest(self) -> bool:
        """Whether there is a manifest, readable or not."""
        return self.manifest is not None or self.fault is not None

    @property
    def is_being_removed(self) -> bool:
        """Whether a removal was begun, and not finished."""
        return any(key.endswith(f"/{PRUNING}") for key in self.keys)

    @property
    def samples(self) -> dict[Split, int]:
        """The number of samples of each split."""
        return {split: summary.samples for split, summary in self.manifest.splits.items()} if self.manifest else {}


def list_versions(uri: str) -> list[ListedVersion]:
    """Return the versions of corpora under *uri*, and those of feedback in its folder ``feedback``, the newest first.

    Objects that belong to no version are ignored.

    Raises:
        StoreError: the store refused or is unavailable.
    """
    store = open_store(uri)
    objects: defaultdict[str, list[ObjectInfo]] = defaultdict(list)
    for info in store.list():
        if (folder := _folder(info.key)) is not None:
            objects[folder].append(info)
    complete = [folder for folder, infos in objects.items() if any(info.key == f"{folder}/{NAME}" for info in infos)]
    manifests = dict(zip(complete, read_objects(store, (f"{folder}/{NAME}" for folder in complete)), strict=True))
    found = [_listed(store.uri, folder, infos, manifests.get(folder)) for folder, infos in objects.items()]
    return sorted(found, key=lambda one: (one.modified, one.version), reverse=True)


def _folder(key: str) -> str | None:
    """Return the folder of the version that an object belongs to, or None."""
    first, _, rest = key.partition("/")
    if is_version(first):
        return first if rest else None
    second, _, rest = rest.partition("/")
    return f"{first}/{second}" if first == _FEEDBACK and is_version(second) and rest else None


def _listed(uri: str, folder: str, infos: list[ObjectInfo], data: bytes | None) -> ListedVersion:
    manifest, fault = None, None
    where = f"{uri}/{folder}"
    if data is not None:
        try:
            manifest = Manifest.parse(data, f"{where}/{NAME}")
            manifest.check_place(where)
        except UserError as error:
            fault = str(error)
    return ListedVersion(
        version=folder.rpartition("/")[2],
        kind="feedback" if "/" in folder else "corpus",
        uri=where,
        modified=max(info.modified for info in infos),
        keys=tuple(info.key for info in infos),
        bytes=sum(info.size for info in infos),
        manifest=manifest,
        fault=fault,
    )


def find_version(reference: str, uri: str) -> DatasetVersion:
    """Return the version that *reference* names: its URI or folder, or the beginning of its name under *uri*.

    Raises:
        UserError: there is none, or more than one.
    """
    if "://" in reference or "/" in reference or not _may_begin_version(reference):
        return DatasetVersion.open(reference)
    places = sorted(_places(reference, uri))
    if len(places) == 1:
        return DatasetVersion.open(places[0])
    if not places:
        raise UserError(
            f"{uri} has no version {reference}; `snap2caption datasets list` shows those that it has, and a folder or "
            "URI names one elsewhere."
        )
    names = ", ".join(place.rpartition("/")[2] for place in places)
    raise UserError(f"Several versions begin with {reference} ({names}); give more of the name.")


def _may_begin_version(text: str) -> bool:
    return len(text) >= _SHORTEST and is_version(text.ljust(12, "0"))


def _places(beginning: str, uri: str) -> Iterator[str]:
    store = open_store(uri)
    for prefix in (beginning, f"{_FEEDBACK}/{beginning}"):
        for info in store.list(prefix):
            folder = _folder(info.key)
            if folder is not None and info.key == f"{folder}/{NAME}":
                yield f"{store.uri}/{folder}"
