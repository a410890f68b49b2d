"""Trust policy for registered models: the base must be allowed, and the adapter must be the promoted one."""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

from serving.settings import ServingSettings
from snap2caption.errors import UserError
from snap2caption.registry.adapters import digest_of
from snap2caption.registry.signatures import SignatureError, verify
from snap2caption.registry.versions import ModelVersion

_COMMIT = re.compile(r"[0-9a-f]{40}")


class DistrustReason(StrEnum):
    """Why a model is rejected."""

    BASE = "base"
    """Its base is neither in the models folder nor on the allowlist, or is not pinned to a commit."""
    TAGS = "tags"
    """Its tags in the registry are incomplete or invalid."""
    SIGNATURE = "signature"
    """Its signature is missing, made with another key, or made for another version."""
    DIGEST = "digest"
    """Its adapter is not the one that was promoted."""
    BROKEN = "broken"
    """It can't be downloaded or loaded, or it generates no caption."""


class DistrustedError(UserError):
    """The trust policy rejects the model."""

    def __init__(self, reason: DistrustReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """The requirements for models.

    ``bases`` is the allowlist of base models from the hub. None skips the check, because no base is loaded here.
    """

    models_dir: Path
    bases: frozenset[str] | None = frozenset()
    key: Path | None = None
    """The public key that verifies signatures. None: signatures are not checked."""
    signed: bool = False
    """Whether a signature is required."""

    @classmethod
    def of(cls, settings: ServingSettings, models_dir: Path) -> Self:
        """Return the policy of *settings*. A remote engine has its base loaded already, so its base is not checked."""
        named = {settings.model} if settings.model else set()
        bases = None if settings.engine_url else frozenset({*settings.bases, *named})
        return cls(models_dir, bases, settings.signature_key_file, settings.require_signatures)

    def check(self, model: str, version: ModelVersion, adapter: Path) -> None:
        """Check a version before its adapter or base is loaded.

        Args:
            model: the name of the registered model.
            version: its metadata in the registry.
            adapter: the local folder of its adapter.

        Raises:
            DistrustedError: the version must not be loaded.
            UserError: the key file is unusable, or the extra ``signing`` is not installed.
        """
        self._check_base(version)
        if version.adapter_sha256 is None:
            raise DistrustedError(
                DistrustReason.DIGEST,
                f"the registry has no digest of its adapter; run `snap2caption promote {version.version}`",
            )
        if digest_of(adapter) != version.adapter_sha256:
            raise DistrustedError(
                DistrustReason.DIGEST,
                "its adapter is not the one that was promoted; check who has write access to MLflow's store",
            )
        if self.key is not None and (self.signed or version.signature is not None):
            try:
                verify(adapter, model, version, self.key)
            except SignatureError as error:
                raise DistrustedError(
                    DistrustReason.SIGNATURE,
                    f"{error}; promote it again with the right SNAP2CAPTION_SIGNING_KEY_FILE",
                ) from error

    def _check_base(self, version: ModelVersion) -> None:
        if self.bases is None or (self.models_dir / version.base / "config.json").is_file():
            return
        if version.base not in self.bases:
            raise DistrustedError(
                DistrustReason.BASE,
                f"its base {version.base} is neither in the models folder nor allowed; "
                "put it there, or add it to SNAP2CAPTION_SERVING_BASES",
            )
        if not _COMMIT.fullmatch(version.base_revision):
            raise DistrustedError(
                DistrustReason.BASE,
                f"the revision {version.base_revision} of its base {version.base} is not a commit hash; "
                "train it again with a pinned revision",
            )
