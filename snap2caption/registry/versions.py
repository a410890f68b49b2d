"""Registered model versions: what the registry stores about a trained adapter, read from MLflow's entry."""

from dataclasses import field
from typing import Annotated, Any

from pydantic import Field, ValidationError
from pydantic.dataclasses import dataclass

from snap2caption.errors import UserError
from snap2caption.names import BaseName, Digest, FileName

ADAPTER_DIGEST = "adapter_sha256"
"""The tag of a run and its registered version with the digest of the evaluated adapter."""

SIGNATURE = "signature"
"""The tag of a registered version with its signature (`snap2caption.registry.signatures`)."""


class VersionError(UserError):
    """The registry's entry of version *number* is not a usable model."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A registered model: its version in the registry, the run that trained it, and the base that its adapter belongs
    to.
    """

    version: Annotated[int, Field(ge=1)]
    run_id: FileName
    base: BaseName
    base_revision: FileName
    dataset_version: FileName
    dataset_uri: str
    prompts: str = ""
    """The request fields that its training prompts named, such as ``length,tone``. Empty for versions registered
    before this was recorded.
    """
    adapter_sha256: Digest | None = None
    """The digest of the adapter that the gate evaluated. None for versions registered before this was recorded."""
    signature: str | None = field(default=None, compare=False, repr=False)
    """The signature of all fields above and of the adapter (`snap2caption.registry.signatures`), or None if it is not
    signed.
    """


def read_version(found: Any) -> ModelVersion:
    """Return MLflow's entry of a registered model as a `ModelVersion`.

    Raises:
        VersionError: it lacks a tag, or a tag has an invalid value.
    """
    tags = found.tags
    try:
        return ModelVersion(
            version=int(found.version),
            run_id=found.run_id,
            base=tags["base"],
            base_revision=tags["base_revision"],
            dataset_version=tags["dataset_version"],
            dataset_uri=tags["dataset_uri"],
            adapter_sha256=tags.get(ADAPTER_DIGEST),
            signature=tags.get(SIGNATURE),
            prompts=tags.get("prompts", ""),
        )
    except KeyError as error:
        raise VersionError(
            int(found.version),
            f"Version {found.version} of the registered model lacks its tag {error}; "
            "register models with `snap2caption promote`.",
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        raise VersionError(
            int(found.version),
            f"Version {found.version} of the registered model has an invalid {first['loc'][0]} ({first['msg']}); "
            "register models with `snap2caption promote`.",
        ) from error
