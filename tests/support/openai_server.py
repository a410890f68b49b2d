"""A small HTTP server that speaks OpenAI's chat completions and vLLM's loading of adapters, for tests: a stand-in
that writes a fixed text.

It checks what a real one would refuse: the token, the model's name, the picture. On request, it answers in the formats
that Ollama, llama.cpp and others document, since these servers can't be installed from a package index. How they batch
and sample is not tried here; tests with real servers do that (`transformers_server`, `make test-vllm`).
"""

import base64
import io
import json
import math
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from patience import LONGEST
from PIL import Image
from server_thread import answering

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
        self.next_words: list[list[str]] = []
        """The captions before `words`, in this order."""
        self.unknown: set[str] = set()
        """Parameters that are refused by name, as a server does that takes OpenAI's own alone."""
        self.refusals: list[tuple[int, bytes]] = []
        """Answers to the next requests for text, in this order."""
        self.retry_after: int | None = None
        """The seconds that a refusal asks to wait."""
        self.listing: tuple[int, bytes] | None = None
        """The answer to /v1/models; None: the models."""
        self.capabilities: list[str] | None = None
        """What Ollama's /api/show says that a model can do; None: this is another server."""
        self.redirect: str | None = None
        """Where requests for the models are redirected to."""
        self.path = "/v1"
        """Where the API is."""
        self.logprobs = True
        self.usage: int | None = None
        """How many tokens the last chunk reports, as OpenAI's stream_options ask for."""
        self.failure = b""
        """Sent in a stream, after its first word."""
        self.babbles = False
        """Whether it then goes on for ever, without the end of a line."""
        self.refused = 0
        self.structured = False
        """Whether it keeps to a JSON schema that it is given."""
        self.mixes_up = False
        """Whether the base writes as an adapter does while one writes, as in vLLM's batches on CPUs."""
        self.writing: Counter[bool] = Counter()
        """How many texts are being written without an adapter (False) and with one (True)."""
        self.changed = threading.Condition()
        self.delay = 0.0
        """Seconds until it answers a request for text, as one that loads its model first."""
        self.delays: dict[str, float] = {}
        """The same for single models and adapters."""
        self.failing: set[str] = set()
        """Models and adapters that fail."""
        self.max_model_len: int | None = None
        """What /v1/models says that the base reads, as vLLM does; None: nothing, as others do."""
        self.reads: int | None = None
        """How many characters of a prompt the model really reads."""
        self.asked: list[dict] = []
        self.closing = threading.Event()
        self.pause = threading.Event()
        self.pause.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        more = {"max_model_len": self.server.max_model_len} if self.server.max_model_len else {}
        listing = {"object": "list", "data": [{"id": model, **more} for model in sorted(self.server.models)]}
        if self.server.redirect:
            self.answer(307)
        elif self.path != f"{self.server.path}/models":
            self.answer(404)
        elif self.headers["authorization"] != f"Bearer {self.server.key}":
            self.answer(401)
        else:
            self.answer(*(self.server.listing or (200, json.dumps(listing).encode())))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        path = self.path.removeprefix(self.server.path)
        unknown = next((name for name in body if name in self.server.unknown), None)
        if self.server.status != 200 or self.headers["authorization"] != f"Bearer {self.server.key}":
            self.refuse(self.server.status if self.server.status != 200 else 401)
        elif path == "/load_lora_adapter":
            known = body["lora_name"] in self.server.models
            self.server.models.add(body["lora_name"])
            self.refuse(400 if known else 200, "The lora adapter has already been loaded." if known else "")
        elif path == "/unload_lora_adapter":
            self.server.models.discard(body["lora_name"])
            self.refuse(200)
        elif path == "/api/show":
            found = self.server.capabilities is not None
            self.answer(200 if found else 404, json.dumps({"capabilities": self.server.capabilities}).encode())
        elif body["model"] not in self.server.models:
            self.refuse(404)
        elif body["model"] in self.server.failing:
            self.refuse(500)
        elif self.server.refusals:
            self.answer(*self.server.refusals.pop(0))
        elif unknown:
            self.server.refused += 1
            self.refuse(400, f"Unrecognized request argument supplied: {unknown}")
        elif self.server.reads is not None and len(body["messages"][0]["content"][1]["text"]) > self.server.reads:
            self.refuse(
                400, f"This model's maximum context length is {self.server.reads} tokens. However, you requested more."
            )
        else:
            self.server.asked.append(body)
            adapter = body["model"].startswith("snap2caption-")
            with self.count(adapter):
                if self.server.mixes_up:
                    body["mixed"] = self.meet(not adapter)
                else:
                    self.server.closing.wait(self.server.delays.get(body["model"], self.server.delay))
                self.write(body)

    def refuse(self, status: int, reason: str = "") -> None:
        self.answer(status, json.dumps({"error": {"message": reason}}).encode() if reason else b"")

    def answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        if self.server.redirect:
            self.send_header("location", self.server.redirect)
        if status >= 400 and self.server.retry_after is not None:
            self.send_header("retry-after", str(self.server.retry_after))
        self.end_headers()
        self.wfile.write(body)

    def write(self, body: dict) -> None:
        picture, prompt = body["messages"][0]["content"]
        Image.open(io.BytesIO(base64.b64decode(picture["image_url"]["url"].partition(",")[2]))).load()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        words = self.choose_words(body, prompt["text"])
        try:
            for number, word in enumerate(words):
                probabilities = {"logprobs": {"content": [{"token": word, "logprob": math.log(0.5)}]}}
                chunk = {
                    "delta": {"content": word},
                    "finish_reason": "stop" if number == len(words) - 1 else None,
                    **(probabilities if self.server.logprobs else {}),
                }
                self.wfile.write(f"data: {json.dumps({'choices': [chunk]})}\n\n".encode())
                self.wfile.flush()
                if self.server.failure:
                    self.wfile.write(self.server.failure)
                    while self.server.babbles:
                        self.wfile.write(self.server.failure)
                    return
                self.server.pause.wait(LONGEST)
            if self.server.usage is not None:
                last = {"choices": [], "usage": {"completion_tokens": self.server.usage}}
                self.wfile.write(f"data: {json.dumps(last)}\n\n".encode())
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            self.server.hung_up.set()

    @contextmanager
    def count(self, adapter: bool) -> Iterator[None]:
        with self.server.changed:
            self.server.writing[adapter] += 1
            self.server.changed.notify_all()
        try:
            yield
        finally:
            with self.server.changed:
                self.server.writing[adapter] -= 1

    def meet(self, adapter: bool) -> bool:
        """Wait for a text of the other kind, for as long as `delay`, and return whether there is one."""
        with self.server.changed:
            return self.server.changed.wait_for(lambda: self.server.writing[adapter] > 0, self.server.delay)

    def choose_words(self, body: dict, prompt: str) -> list[str]:
        if body["model"].startswith("snap2caption-") or body.get("mixed"):
            return self.server.words
        if self.server.structured and "response_format" in body:
            return ['{"caption": "', *self.server.words[:4], '", "hashtags": ["#sf"]}']
        if "Describe" in prompt:
            return ["A", " red", " bridge."]
        return self.server.next_words.pop(0) if self.server.next_words else self.server.words

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def openai_server(key: str, base: str) -> Iterator[Server]:
    with answering(Server(key, base)) as server:
        try:
            yield server
        finally:
            server.closing.set()
