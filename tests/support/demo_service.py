"""The caption service over the demo base, as a process, with no registry: it starts from the copy of an adapter that
is kept for that.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from corpus_hashtags import write_hashtags
from creators import KEYS, creator
from service_process import environment, server

from serving.models.adapter_cache import AdapterCache
from snap2caption.registry.adapters import digest_of
from snap2caption.registry.client import Registry
from snap2caption.registry.versions import ModelVersion
from snap2caption.settings import ROOT, Settings
from snap2caption.vlm import find_revision, load, quieten_peft

BASE = "demo-base"


class _Nowhere(Registry):
    """A registry whose one version holds a new adapter, which adds nothing to the base."""

    def download_adapter(self, version: ModelVersion, folder: Path) -> Path:
        from peft import LoraConfig, get_peft_model

        quieten_peft()
        vlm = load(version.base, ROOT / "models")
        config = LoraConfig(r=4, target_modules=r".*language_model.*\.(q_proj|v_proj)")
        replace(vlm, model=get_peft_model(vlm.model, config)).save_adapter(folder / "adapter")
        return folder / "adapter"


@dataclass(frozen=True, slots=True)
class DemoService:
    """A service that runs: where it answers, and the folder that it works in."""

    url: str
    folder: Path

    @property
    def log(self) -> list[str]:
        """The lines that it has written."""
        # Not splitlines(): a path in it may hold characters that Unicode calls line breaks.
        return (self.folder / "logs" / "serving.log").read_text().rstrip("\n").split("\n")

    @property
    def faults(self) -> list[str]:
        """Of these lines, those that tell of an error, and those that are no JSON."""
        return [line for line in self.log if not line.startswith("{") or json.loads(line)["level"] == "error"]

    @property
    def pid(self) -> int:
        """Its process."""
        return next(int(line) for line in map(_started, self.log) if line)


def remember_adapter(cache: Path, dataset_uri: str) -> None:
    """Keep an adapter of the demo base in *cache* from which a service starts while its registry is away."""
    version = ModelVersion(1, "run", BASE, find_revision(BASE, ROOT / "models"), "data", dataset_uri)
    adapters = AdapterCache(_Nowhere("", "demo"), cache)
    version = replace(version, adapter_sha256=digest_of(adapters.fetch(version)))
    adapters.remember(version, None)


@contextmanager
def demo_service(folder: Path, *, feedback_uri: str | None = None, **settings: object) -> Iterator[DemoService]:
    """Run the service in *folder* with these settings and the keys of `creators`.

    Captions are cut off after some words.
    """
    installation = Settings(
        state_dir=folder / "state",
        models_dir=ROOT / "models",
        mlflow_tracking_uri="http://127.0.0.1:9",
        registered_model="demo",
    )
    cache = folder / "cache"
    cache.mkdir()
    nowhere = (folder / "nowhere").as_uri()
    write_hashtags(folder / "data")
    remember_adapter(cache, (folder / "data").as_uri())
    given = {
        "cache_dir": cache,
        "api_key_hashes": json.dumps([creator(key) for key in KEYS]),
        "requests_per_minute": 1_000_000,
        "failed_keys_per_minute": 1_000_000,
        "poll_seconds": 60,
        "max_new_tokens": 8,
        "threads": 1,
    } | settings
    variables = {f"SNAP2CAPTION_SERVING_{name.upper()}": str(value) for name, value in given.items()}
    variables["SNAP2CAPTION_FEEDBACK_URI"] = feedback_uri or (folder / "feedback").as_uri()
    variables["SNAP2CAPTION_DATASETS_URI"] = nowhere
    variables["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    with server(folder, environment(installation, **variables)) as url:
        yield DemoService(url, folder)


def _started(line: str) -> str:
    found = re.search(r"Started server process \[(\d+)\]", line)
    return found[1] if found else ""
