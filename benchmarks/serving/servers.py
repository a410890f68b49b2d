"""The three servers of the serving benchmark. Each returns a caption and alt text for a photo.

``python -m benchmarks.serving.servers ours|endpoint|litserve MODEL PORT``.

``endpoint`` is the usual implementation: FastAPI, and ``generate`` in the handler, one request after the other.
``litserve`` collects requests into batches. Both call ``generate`` twice, with and without the adapter; ours writes
both at once.
"""

import io
import sys
import tempfile
import threading
from pathlib import Path

import litserve
import torch
import uvicorn
from fastapi import FastAPI, UploadFile
from fastapi import Request as StarletteRequest
from PIL import Image

from benchmarks.serving.models import MODELS, load_model, load_packed
from demo.stack.ports import HOST
from serving.app import build_app
from serving.engines.local.engine import LocalEngine
from serving.models.served_model import ServedModel
from serving.prompting.trained import TrainedTemplate
from serving.settings import ServingSettings
from snap2caption.hashtags.table import HashtagTable
from snap2caption.post import DESCRIBE_PROMPT, Request, build_prompt
from snap2caption.registry.versions import ModelVersion
from snap2caption.runtime.openmp import with_own_team
from snap2caption.vlm import Decoding, VisionLanguageModel

BATCH = 8
THREADS = {"demo": 1}
"""Threads of a peer's model, if limited.

With one thread, both peers are twice as fast on so small a model. Our service detects that by itself.
"""

PATHS = {"ours": "/generate-caption", "endpoint": "/generate-caption", "litserve": "/predict"}


def answer(vlm: VisionLanguageModel, photos: list[Image.Image], tokens: int) -> list[dict[str, str]]:
    """Caption and describe *photos* as one batch, by the model's own generate."""
    decoding, prompt = Decoding(tokens), build_prompt(Request())
    captions = vlm.generate(photos, [prompt] * len(photos), decoding)
    described = vlm.generate(photos, [DESCRIBE_PROMPT] * len(photos), decoding, without_adapter=True)
    return [{"caption": caption.text, "alt_text": alt.text} for caption, alt in zip(captions, described, strict=True)]


def ours(model: str) -> FastAPI:
    """Return our service over the model."""
    version = ModelVersion(1, "run", model, "random", "data", "file:///nowhere")
    vlm, weights = with_own_team(lambda: load_packed(model))
    served = ServedModel(
        LocalEngine(vlm, f"{model}/1", TrainedTemplate(), max_batch=BATCH, weights=weights),
        HashtagTable.from_rows([]),
        version,
    )
    settings = ServingSettings(
        cache_dir=Path(tempfile.gettempdir()),
        max_batch=BATCH,
        queue_size=512,
        deadline_seconds=600,
        max_new_tokens=MODELS[model],
    )
    return build_app(settings, lambda: served)


def endpoint(model: str) -> FastAPI:
    """Return the usual endpoint. The lock keeps threads from slowing each other down."""
    torch.set_num_threads(_threads(model))
    vlm, lock, app = load_model(model), threading.Lock(), FastAPI()

    @app.get("/readyz")
    def readyz() -> str:
        return "ok"

    @app.post("/generate-caption")
    def caption(image: UploadFile) -> dict[str, str]:
        photo = Image.open(image.file).convert("RGB")
        with lock:
            return answer(vlm, [photo], MODELS[model])[0]

    return app


class Captions(litserve.LitAPI):
    """The model behind LitServe."""

    def __init__(self, model: str, threads: int) -> None:
        super().__init__(max_batch_size=BATCH, batch_timeout=0.01)
        self.model_name = model
        self.threads = threads

    def setup(self, _: str) -> None:
        """Load the model, in the worker's process."""
        torch.set_num_threads(int(__import__("os").environ.get("LIT_THREADS", self.threads)))
        self.vlm = load_model(self.model_name)

    def decode_request(self, request: StarletteRequest) -> Image.Image:
        """Return the photo."""
        return Image.open(io.BytesIO(request["image"].file.read())).convert("RGB")

    def predict(self, photos: list[Image.Image]) -> list[dict[str, str]]:
        """Caption a batch."""
        return answer(self.vlm, photos, MODELS[self.model_name])

    def encode_response(self, output: dict[str, str]) -> dict[str, str]:
        """Return the answer."""
        return output


def _threads(model: str) -> int:
    return THREADS.get(model, torch.get_num_threads())


def main(kind: str, model: str, port: int) -> None:
    """Serve until stopped."""
    if kind == "litserve":
        server = litserve.LitServer(Captions(model, _threads(model)), accelerator="cpu", timeout=600)
        server.run(host=HOST, port=port, generate_client_file=False, log_level="error")
        return
    app = ours(model) if kind == "ours" else endpoint(model)
    uvicorn.run(app, host=HOST, port=port, log_config=None, access_log=False)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
