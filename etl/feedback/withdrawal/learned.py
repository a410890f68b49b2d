"""Affected models: models that learned from feedback which was erased since.

A model can't unlearn, so they are reported, for operators to replace and delete.
"""

from dataclasses import dataclass

from etl.feedback.records import erased
from etl.feedback.versions import versions_uri
from snap2caption.datasets.version import DatasetVersion
from snap2caption.errors import UserError
from snap2caption.names import is_file_name
from snap2caption.registry.client import Registry
from snap2caption.store import MissingError, StoreError, open_store


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
    gone = erased(open_store(feedback_uri))
    if not gone:
        return []
    learners = registry.learners()
    uri = versions_uri(datasets_uri)
    counts = {version: _count_erased(gone, uri, version) for version in {one.feedback_version for one in learners}}
    found = [
        AffectedModel(
            one.version.version, one.version.run_id, one.aliases, one.feedback_version, counts[one.feedback_version]
        )
        for one in learners
        if counts[one.feedback_version]
    ]
    return sorted(found, key=lambda one: one.version, reverse=True)


def _count_erased(gone: set[str], uri: str, version: str) -> int:
    """Return the number of erased samples of a feedback version, which may be withdrawn or deleted."""
    if not is_file_name(version):
        return 0
    try:
        manifest = DatasetVersion.open(f"{uri}/{version}").manifest
    except MissingError:
        return 0
    except StoreError:
        raise
    except UserError:
        return 0  # `withdraw` reports it
    return len(gone & manifest.feedback.samples.keys()) if manifest.feedback else 0
