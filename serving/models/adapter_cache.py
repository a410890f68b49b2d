"""Adapters on this machine's disk: those in service, and the last good one for a start without the registry."""

import json
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path

from snap2caption.registry.client import ModelVersion, Registry
from snap2caption.registry.signatures import SCRATCH

_LAST_GOOD = "last-good.json"
_VERSION, _DOWNLOAD = "version-", "download-"


class AdapterCache:
    """The registry's adapters in *folder*, one folder a version: whole, or not there."""

    def __init__(self, registry: Registry, folder: Path) -> None:
        self._registry = registry
        self._folder = folder

    def clean(self) -> None:
        """Remove what a killed process left of its downloads, and of adapters that it verified."""
        for prefix in (_DOWNLOAD, SCRATCH):
            for draft in self._folder.glob(f"{prefix}*"):
                shutil.rmtree(draft, ignore_errors=True)

    def fetch(self, version: ModelVersion) -> Path:
        """Return the version's adapter; it is downloaded if it is not here.

        Raises:
            UserError: the registry is away, or the version holds no adapter.
        """
        folder = self._folder_of(version)
        if not folder.is_dir():
            draft = Path(tempfile.mkdtemp(prefix=_DOWNLOAD, dir=self._folder))
            try:
                self._registry.download_adapter(version, draft).rename(folder)
            except OSError:
                # Another process was faster.
                if not folder.is_dir():
                    raise
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        return folder

    def drop(self, version: ModelVersion) -> None:
        """Forget a copy that may be damaged."""
        shutil.rmtree(self._folder_of(version), ignore_errors=True)

    def remember(self, version: ModelVersion, kept: ModelVersion | None) -> None:
        """Keep *version* as the last good one, and *kept* for a rollback to it; remove the others."""
        draft = self._folder / f"{_LAST_GOOD}.part"
        draft.write_text(json.dumps(asdict(version)))
        draft.replace(self._folder / _LAST_GOOD)
        for folder in self._folder.glob(f"{_VERSION}*"):
            if folder not in {self._folder_of(one) for one in (version, kept) if one}:
                shutil.rmtree(folder, ignore_errors=True)

    def last_good(self) -> tuple[ModelVersion, Path] | None:
        """Return the last good version and its adapter, if they are here."""
        try:
            version = ModelVersion(**json.loads((self._folder / _LAST_GOOD).read_text()))
        except (OSError, ValueError, TypeError):
            return None
        folder = self._folder_of(version)
        return (version, folder) if folder.is_dir() else None

    def _folder_of(self, version: ModelVersion) -> Path:
        # The run as well: after a fresh start, another registry has another version 1.
        return self._folder / f"{_VERSION}{version.version}-{version.run_id}"
