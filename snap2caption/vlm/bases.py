"""Base models by name: where one lies, its configuration and its revision. Nothing here loads weights."""

import functools
import hashlib
import time
from pathlib import Path
from typing import Any

from snap2caption.errors import UserError
from snap2caption.names import is_base_name
from snap2caption.vlm.out_of_distribution import REFERENCE

_HUB_TIMEOUT = 10.0
"""Seconds that the model hub has to answer."""


def resolve_base(base: str, models_dir: Path) -> str:
    """Return the place that the base model *base* is loaded from: its folder under *models_dir*, or else its name on
    the hub.

    Raises:
        UserError: *base* is not a valid name.
    """
    if not is_base_name(base):
        raise UserError(
            f"{base!r} is not a base model's name; give the name of a folder in {models_dir}, "
            "or owner/name on the model hub."
        )
    folder = models_dir / base
    return str(folder) if (folder / "config.json").is_file() else base


def load_config(base: str, models_dir: Path, revision: str | None = None) -> Any:
    """Load a base's configuration without its weights; from the hub at *revision*, or from its main branch.

    Raises:
        UserError: the base is neither on disk nor on the hub.
    """
    from transformers import AutoConfig

    where = resolve_base(base, models_dir)
    try:
        return AutoConfig.from_pretrained(where, trust_remote_code=False, **hub_options(where == base, revision))
    except OSError as error:
        raise missing_base(base, models_dir, error) from error


def hub_options(is_remote: bool, revision: str | None) -> dict[str, Any]:
    """Return options of ``from_pretrained``: *revision* for a base on the hub, and what is in the hub's cache alone if
    the hub can't be reached.

    Without the check, each of a model's files would be asked for over half a minute.
    """
    return {"revision": revision, "local_files_only": not is_hub_reachable()} if is_remote else {}


def is_hub_reachable() -> bool:
    """Return whether the model hub answers (``HF_ENDPOINT``) and may be asked (``HF_HUB_OFFLINE``).

    It is asked at most once per minute: loading a base needs to know several times.
    """
    return _ask_hub(int(time.monotonic() // 60))


@functools.lru_cache(maxsize=1)
def _ask_hub(_minute: int) -> bool:
    import httpx
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        httpx.head(constants.ENDPOINT, timeout=_HUB_TIMEOUT)
    except httpx.HTTPError:
        return False
    return True


def find_revision(base: str, models_dir: Path, wanted: str | None = None) -> str:
    """Return the revision that `load` would load: a digest of the weights for a base on disk, a commit for one on the
    hub.

    Raises:
        UserError: the base is neither on disk nor on the hub, or the hub lacks the revision *wanted*.
    """
    where = resolve_base(base, models_dir)
    if where == base:
        return str(getattr(load_config(base, models_dir, wanted), "_commit_hash", None) or wanted or "main")
    found = local_revision(Path(where))
    if wanted not in {None, found}:
        raise another_revision(base, found, wanted)
    return found


def another_revision(base: str, found: str, wanted: str | None) -> UserError:
    """Return the error that *base* on disk has the revision *found* where *wanted* is needed."""
    return UserError(
        f"The base model {base} on disk has revision {found}, but the recipe or the adapter needs {wanted}; "
        "restore that base model."
    )


def missing_base(base: str, models_dir: Path, error: OSError) -> UserError:
    """Return the error that *base* can't be loaded; *error* says why."""
    from huggingface_hub import constants

    reason = str(error).splitlines()[0]
    if resolve_base(base, models_dir) == base and not is_hub_reachable():
        reason = f"{constants.ENDPOINT} can't be reached, and what was downloaded before lacks it"
    return UserError(f"The base model {base} is neither in {models_dir} nor on the model hub ({reason}).")


def local_revision(folder: Path) -> str:
    """Return the revision of a base model on disk: the first 12 digits of the SHA-256 over its weight files."""
    digest = hashlib.sha256()
    # Adapters do not depend on the reference, so a new one leaves the revision as it is.
    for file in sorted(set(folder.glob("*.safetensors")) - {folder / REFERENCE}):
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:12]
