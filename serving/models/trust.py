"""Whether a registered model may be loaded: its base is listed, and its adapter is the one that was promoted."""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

from serving.settings import ServingSettings
from snap2caption.errors import UserError
from snap2caption.registry.adapters import digest_of
from snap2caption.registry.client import ModelVersion
from snap2caption.registry.signatures import SignatureError, verify

_COMMIT = re.compile(r"[0-9a-f]{40}")


class DistrustReason(StrEnum):
    """Why a model is not taken into service."""

    BASE = "base"
    """Its base is neither in the models folder nor among the listed ones."""
    TAGS = "tags"
    """What the registry says of it makes no model."""
    SIGNATURE = "signature"
    """It is not signed, or not by the key that it must be, or as another version."""
    DIGEST = "digest"
    """Its adapter is another than was promoted."""
    BROKEN = "broken"
    """It can't be fetched or loaded, or writes no caption."""


class DistrustedError(UserError):
    """The model is not one to load."""

    def __init__(self, reason: DistrustReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """What models must be. ``bases`` names those on the hub that may be loaded; None: no base is loaded here."""

    models_dir: Path
    bases: frozenset[str] | None = frozenset()
    key: Path | None = None
    """The public key of signatures; None: they are not looked at."""
    signed: bool = False
    """Whether there must be one."""

    @classmethod
    def of(cls, settings: ServingSettings, models_dir: Path) -> Self:
        """Return what the settings ask for. A server elsewhere has its base already, whatever the registry calls it."""
        bases = None if settings.engine_url else frozenset(settings.bases)
        return cls(models_dir, bases, settings.signature_key_file, settings.require_signatures)

    def check(self, model: str, version: ModelVersion, adapter: Path) -> None:
        """Check a version before anything of it, or of its base, is loaded.

        Args:
            model: the name of the registered model.
            version: as the registry has it.
            adapter: the folder of its adapter, on this machine.

        Raises:
            DistrustedError: it is not to be loaded.
            UserError: the key can't be used, or the extra ``signing`` is not installed.
        """
        self._check_base(version)
        if version.adapter_sha256 is None:
            raise DistrustedError(
                DistrustReason.DIGEST,
                f"the registry has no digest of its adapter; run `snap2caption promote {version.version}`",
            )
        if digest_of(adapter) != version.adapter_sha256:
            raise DistrustedError(
                DistrustReason.DIGEST, "its adapter is not the one that was promoted; look who writes to MLflow's store"
            )
        if self.key is not None and (self.signed or version.signature is not None):
            try:
                verify(adapter, model, version, self.key)
            except SignatureError as error:
                raise DistrustedError(
                    DistrustReason.SIGNATURE, f"{error}; promote it again with the right SNAP2CAPTION_SIGNING_KEY_FILE"
                ) from error

    def _check_base(self, version: ModelVersion) -> None:
        if self.bases is None or (self.models_dir / version.base / "config.json").is_file():
            return
        if version.base not in self.bases:
            raise DistrustedError(
                DistrustReason.BASE,
                f"its base {version.base} is neither in the models folder nor listed; put it there, or add it to SNAP2CAPTION_SERVING_BASES",
            )
        if not _COMMIT.fullmatch(version.base_revision):
            raise DistrustedError(
                DistrustReason.BASE,
                f"of its base {version.base} it names {version.base_revision}, which is no commit; train it again",
            )
