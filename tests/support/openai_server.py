"""A small HTTP server that speaks OpenAI's chat completions and vLLM's loading of adapters, for tests: a stand-in
that writes a fixed text.

It checks what a real one would refuse: the token, the model's name, the picture. It is not vLLM: how that batches and
samples is not tried here.
"""

import base64
import io
import json
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from patience import LONGEST
from PIL import Image

WORDS = ["Golden", " hour", " again", ".\n", "#sf", " #sunset"]


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, key: str, base: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.key = key
        self.models = {base}
        self.hung_up = threading.Event()
        self.status = 200
        self.words = WORDS
        self.unknown: str | None = None
        """A parameter that is refused by name, as a server does that takes OpenAI's own alone."""
        self.max_model_len: int | None = None
        """What /v1/models says that the base reads, as vLLM does; None: nothing, as others do."""
        self.reads: int | None = None
        """How many characters of a prompt the model really reads."""
        self.asked: list[dict] = []
        self.pause = threading.Event()
        self.pause.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        more = {"max_model_len": self.server.max_model_len} if self.server.max_model_len else {}
        body = json.dumps({"data": [{"id": model, **more} for model in self.server.models]}).encode()
        self.send_response(200 if self.path == "/v1/models" else 404)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.server.status != 200 or self.headers["authorization"] != f"Bearer {self.server.key}":
            self.refuse(self.server.status if self.server.status != 200 else 401)
        elif self.path == "/v1/load_lora_adapter":
            self.server.models.add(body["lora_name"])
            self.refuse(200)
        elif self.path == "/v1/unload_lora_adapter":
            self.server.models.discard(body["lora_name"])
            self.refuse(200)
        elif body["model"] not in self.server.models:
            self.refuse(404)
        elif self.server.unknown in body:
            self.refuse(400, f"Unrecognized request argument supplied: {self.server.unknown}")
        elif self.server.reads is not None and len(body["messages"][0]["content"][1]["text"]) > self.server.reads:
            self.refuse(
                400, f"This model's maximum context length is {self.server.reads} tokens. However, you requested more."
            )
        else:
            self.server.asked.append(body)
            self.write(body)

    def refuse(self, status: int, reason: str = "") -> None:
        body = json.dumps({"error": {"message": reason}}).encode() if reason else b""
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def write(self, body: dict) -> None:
        picture, prompt = body["messages"][0]["content"]
        Image.open(io.BytesIO(base64.b64decode(picture["image_url"]["url"].partition(",")[2]))).load()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        words = ["A", " red", " bridge."] if "Describe" in prompt["text"] else self.server.words
        try:
            for number, word in enumerate(words):
                chunk = {
                    "delta": {"content": word},
                    "logprobs": {"content": [{"token": word, "logprob": math.log(0.5)}]},
                    "finish_reason": "stop" if number == len(words) - 1 else None,
                }
                self.wfile.write(f"data: {json.dumps({'choices': [chunk]})}\n\n".encode())
                self.wfile.flush()
                self.server.pause.wait(LONGEST)
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            self.server.hung_up.set()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def openai_server(key: str, base: str) -> Iterator[Server]:
    server = Server(key, base)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
