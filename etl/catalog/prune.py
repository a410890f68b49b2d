"""Pruning of a store: which dataset versions may go, and their removal.

A version stays if it is among the newest, if a model learned from it, or if a feedback version that stays was built
beside it. No two versions share an object, since each has a folder of its own.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from etl.catalog.listing import Kind, ListedVersion, list_versions
from snap2caption.datasets.manifest import NAME, PRUNING
from snap2caption.formats.documents import FrozenModel
from snap2caption.store import ObjectStore, open_store

_UNFINISHED = timedelta(days=1)
"""Age from which a version without a manifest counts as the remains of a killed upload."""

Lineage = Callable[[], Mapping[str, Collection[str]]]


class PruneVerdict(FrozenModel):
    """Whether a version goes, and why."""

    version: ListedVersion
    removed: bool
    reason: str


def judge(versions: Sequence[ListedVersion], keep: int, users: Mapping[str, Collection[str]]) -> list[PruneVerdict]:
    """Return a verdict on each version.

    Args:
        versions: the versions, the newest first.
        keep: how many of the newest versions of each kind stay in any case.
        users: the names of the models and runs that learned from each version.
    """
    reasons: dict[str, str] = {}
    counts: Counter[Kind] = Counter()
    for one in versions:
        if one.is_being_removed or not one.has_manifest:
            continue
        counts[one.kind] += not one.fault
        names = users.get(one.version)
        if names:
            more = f" and {len(names) - 1} others" if len(names) > 1 else ""
            reasons[one.uri] = f"{min(names)}{more} learned from it"
        elif one.fault:
            reasons[one.uri] = "has a manifest that can't be read"
        elif counts[one.kind] <= keep:
            reasons[one.uri] = "is among the newest"
    kept = {
        one.manifest.feedback.corpus
        for one in versions
        if one.uri in reasons and one.manifest and one.manifest.feedback
    }
    verdicts = []
    for one in versions:
        reason = reasons.get(one.uri)
        if reason is None and one.version in kept and one.has_manifest and not one.is_being_removed:
            reason = "feedback that stays was built beside it"
        if reason is None and not one.has_manifest and not one.is_being_removed and _is_recent(one):
            reason = "is being uploaded, or was until a day ago"
        verdicts.append(PruneVerdict(version=one, removed=reason is None, reason=reason or _why_removed(one)))
    return verdicts


def prune(
    uri: str, keep: int, lineage: Lineage, wanted: Collection[str], *, on_removed: Callable[[str], None] | None = None
) -> list[ListedVersion]:
    """Remove the versions in *wanted* (URIs) that still may go, and return them.

    The verdicts are made again first, since models may have learned meanwhile. If killed at any point and run again,
    the result is the same: a version is marked first, then loses its manifest, its other objects, and the mark.

    Args:
        uri: the store.
        keep: as for `judge`.
        lineage: returns the names of the models and runs that learned from each version.
        wanted: what a person agreed to.
        on_removed: called with the URI of each version that was removed.

    Raises:
        UserError: the registry or the store is unavailable.
    """
    store = open_store(uri)
    removed = []
    for one in (verdict.version for verdict in judge(list_versions(uri), keep, lineage()) if verdict.removed):
        if one.uri in wanted:
            _remove(store, one)
            removed.append(one)
            if on_removed:
                on_removed(one.uri)
    return removed


def _remove(store: ObjectStore, version: ListedVersion) -> None:
    folder = version.uri.removeprefix(f"{store.uri}/")
    mark = f"{folder}/{PRUNING}"
    manifest = f"{folder}/{NAME}"
    store.put(mark, b"", sha256=hashlib.sha256().hexdigest())
    # Without a manifest nobody begins to read the rest.
    store.delete(manifest)
    store.delete_all([key for key in version.keys if key not in {mark, manifest}])
    store.delete(mark)


def _is_recent(version: ListedVersion) -> bool:
    return version.modified > datetime.now(UTC) - _UNFINISHED


def _why_removed(version: ListedVersion) -> str:
    if version.is_being_removed:
        return "its removal was begun"
    if not version.has_manifest:
        return "its upload was never finished"
    return "no model learned from it"
