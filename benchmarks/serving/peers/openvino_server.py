"""OpenVINO behind HTTP, as optimum-intel's documentation runs it, one text after the other.

Run by OpenVINO's environment (`make bench-peers`), so this uses that and Python only: ``python openvino_server.py
FOLDER PORT TOKENS``. OpenVINO's own servers know no model of this family ("Unsupported 'idefics3' VLM model type").
"""

import io
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from optimum.intel import OVModelForVisualCausalLM
from PIL import Image
from transformers import AutoProcessor
from transformers.generation.streamers import BaseStreamer

PROMPTS = ("Write an Instagram caption for this photo.", "Describe this photo.")


class _FirstToken(BaseStreamer):  # type: ignore[misc] - of another environment
    """Remembers when the first token came. The prompt comes before it."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def put(self, value: object) -> None:
        del value
        if len(self.seen) < 2:
            self.seen.append(time.perf_counter())

    def end(self) -> None:
        """Do nothing: all tokens have come."""


def serve(folder: str, port: int, tokens: int) -> None:
    """Serve ``POST /`` with a photo until stopped."""
    options = {"local_files_only": True}
    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=False, **options)
    model = OVModelForVisualCausalLM.from_pretrained(folder, device="CPU", trust_remote_code=False, **options)
    lock = threading.Lock()

    def write(photo: Image.Image, prompt: str) -> float:
        """Write a text and return the moment of its first token."""
        parts = [{"type": "image"}, {"type": "text", "text": prompt}]
        text = processor.apply_chat_template([{"role": "user", "content": parts}], add_generation_prompt=True)
        inputs = processor(text=[text], images=[photo], return_tensors="pt")
        streamer = _FirstToken()
        model.generate(**inputs, max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False, streamer=streamer)
        return streamer.seen[-1]

    class CaptionHandler(BaseHTTPRequestHandler):
        """Answers when both texts are written, with the seconds to the first token."""

        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            started = time.perf_counter()
            photo = Image.open(io.BytesIO(self.rfile.read(int(self.headers["Content-Length"])))).convert("RGB")
            with lock:
                first, _ = (write(photo, prompt) for prompt in PROMPTS)
            self._answer({"first_token": first - started})

        def log_message(self, *_: Any) -> None:
            """Write no log."""

        def _answer(self, content: dict[str, float]) -> None:
            body = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    ThreadingHTTPServer(("127.0.0.1", port), CaptionHandler).serve_forever()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
