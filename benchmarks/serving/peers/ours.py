"""Our service over the model on disk: ``python -m benchmarks.serving.peers.ours FOLDER PORT TOKENS``."""

import sys
from pathlib import Path

import uvicorn

from benchmarks.serving.peers.model import ADAPTER, BASE
from demo.stack.ports import HOST
from serving.app import build_app
from serving.engines.local.loader import LocalLoader
from serving.models.served_model import ServedModel
from serving.settings import ServingSettings
from snap2caption.hashtags.table import HashtagTable
from snap2caption.registry.versions import ModelVersion
from snap2caption.vlm import find_revision


def main(folder: Path, port: int, tokens: int) -> None:
    """Serve until stopped, with the settings' defaults."""
    settings = ServingSettings(cache_dir=folder, queue_size=512, deadline_seconds=600, max_new_tokens=tokens)
    version = ModelVersion(1, "run", BASE, find_revision(BASE, folder), "data", "file:///nowhere")
    engine = LocalLoader(settings, folder).load(version, folder / ADAPTER, f"{BASE}/1")
    served = ServedModel(engine, HashtagTable.from_rows([]), version)
    uvicorn.run(build_app(settings, lambda: served), host=HOST, port=port, log_config=None, access_log=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
