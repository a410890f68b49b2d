"""Adapter cache on disk: adapters in service, and the last good one for a start without the registry."""

import json
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path

from snap2caption.registry.client import Registry
from snap2caption.registry.signatures import SCRATCH
from snap2caption.registry.versions import ModelVersion

_LAST_GOOD = "last-good.json"
_VERSION, _DOWNLOAD = "version-", "download-"


class AdapterCache:
    """The registry's adapters, one folder per version under *folder*. An adapter is complete or absent."""

    def __init__(self, registry: Registry, folder: Path) -> None:
        self._registry = registry
        self._folder = folder

    def clean(self) -> None:
        """Remove unfinished downloads and verification copies that a killed process left behind."""
        for prefix in (_DOWNLOAD, SCRATCH):
            for draft in self._folder.glob(f"{prefix}*"):
                shutil.rmtree(draft, ignore_errors=True)

    def fetch(self, version: ModelVersion) -> Path:
        """Return the folder of the version's adapter, and download it if it is not cached.

        Raises:
            UserError: the registry is unavailable, or the version has no adapter.
        """
        folder = self._folder_of(version)
        if not folder.is_dir():
            draft = Path(tempfile.mkdtemp(prefix=_DOWNLOAD, dir=self._folder))
            try:
                self._registry.download_adapter(version, draft).rename(folder)
            except OSError:
                # Another process has downloaded it meanwhile.
                if not folder.is_dir():
                    raise
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        return folder

    def drop(self, version: ModelVersion) -> None:
        """Remove a cached copy that may be damaged."""
        shutil.rmtree(self._folder_of(version), ignore_errors=True)

    def remember(self, version: ModelVersion, kept: ModelVersion | None) -> None:
        """Mark *version* as the last good one, and remove all others except *kept*, which a rollback may need."""
        draft = self._folder / f"{_LAST_GOOD}.part"
        draft.write_text(json.dumps(asdict(version)))
        draft.replace(self._folder / _LAST_GOOD)
        for folder in self._folder.glob(f"{_VERSION}*"):
            if folder not in {self._folder_of(keep) for keep in (version, kept) if keep}:
                shutil.rmtree(folder, ignore_errors=True)

    def last_good(self) -> tuple[ModelVersion, Path] | None:
        """Return the last good version and the folder of its adapter, or None if they are not cached."""
        try:
            version = ModelVersion(**json.loads((self._folder / _LAST_GOOD).read_text()))
        except (OSError, ValueError, TypeError):
            return None
        folder = self._folder_of(version)
        return (version, folder) if folder.is_dir() else None

    def _folder_of(self, version: ModelVersion) -> Path:
        # The run id is included because another registry has another version 1.
        return self._folder / f"{_VERSION}{version.version}-{version.run_id}"
