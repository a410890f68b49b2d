"""Affected models: models that learned from feedback which was erased since.

A model can't unlearn, so they are reported, for operators to replace and delete.
"""

from dataclasses import dataclass

from etl.feedback.records import erased
from etl.feedback.versions import versions_uri
from snap2caption.datasets.manifest import NAME
from snap2caption.datasets.version import DatasetVersion
from snap2caption.errors import UserError
from snap2caption.names import is_file_name
from snap2caption.registry.client import Registry
from snap2caption.store import ObjectStore, StoreError, open_store


@dataclass(frozen=True, slots=True)
class AffectedModel:
    """A registered model that learned from corrections that were erased since, with their number."""

    version: int
    run_id: str
    aliases: tuple[str, ...]
    feedback_version: str
    erased: int

    def __str__(self) -> str:
        """Return a sentence for the operator."""
        roles = f" ({', '.join(self.aliases)})" if self.aliases else ""
        return (
            f"Model version {self.version}{roles} learned from {self.erased} corrections that were erased since "
            f"(feedback {self.feedback_version}, run {self.run_id}); replace it with one that did not, and delete it."
        )


def find_affected_models(feedback_uri: str, datasets_uri: str, registry: Registry) -> list[AffectedModel]:
    """Return the models in the registry that learned from erased feedback, the newest first.

    Raises:
        StoreError: a store refused or is unavailable.
        UserError: the registry is unavailable.
    """
    counts = _count_erased(erased(open_store(feedback_uri)), open_store(versions_uri(datasets_uri)))
    if not counts:
        return []
    found = [
        AffectedModel(
            one.version.version, one.version.run_id, one.aliases, one.feedback_version, counts[one.feedback_version]
        )
        for one in registry.learners()
        if one.feedback_version in counts
    ]
    return sorted(found, key=lambda one: one.version, reverse=True)


def _count_erased(gone: set[str], versions: ObjectStore) -> dict[str, int]:
    """Return the number of erased samples of each feedback version that held any, withdrawn versions included."""
    counts = {}
    for info in versions.list():
        version, _, name = info.key.partition("/")
        if name != NAME or not is_file_name(version):
            continue
        try:
            manifest = DatasetVersion.open(f"{versions.uri}/{version}").manifest
        except StoreError:
            raise
        except UserError:
            continue  # `withdraw` reports it
        if manifest.feedback and (lost := gone & manifest.feedback.samples.keys()):
            counts[version] = len(lost)
    return counts
