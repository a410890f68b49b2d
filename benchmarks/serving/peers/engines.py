"""Engines of the comparison: how each is started and asked for the caption and the alt text of a photo."""

import asyncio
import base64
import json
import os
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.serving.load import Call, photo_call
from benchmarks.serving.peers.model import ADAPTER, BASE
from demo.stack.ports import HOST
from demo.stack.service import Service
from snap2caption.post import DESCRIBE_PROMPT, Request, build_prompt
from snap2caption.runtime.openmp import OPENMP
from snap2caption.settings import ROOT

TOKENS = 48
"""Tokens of the caption, and of the alt text. Random models never stop earlier."""


class PeerEngine(ABC):
    """An engine that serves the model of `benchmarks.serving.peers.model`."""

    name: str
    path = ""

    def prepare(self, folder: Path) -> None:  # noqa: B027 - most need nothing
        """Convert the model in *folder*, which is not part of the cold start."""

    @abstractmethod
    def command(self, folder: Path, port: int) -> tuple[str, ...]:
        """Return the command that serves the model in *folder*."""

    @abstractmethod
    def call(self, url: str, photo: bytes) -> Call:
        """Return a call that asks for both texts of *photo*."""

    @abstractmethod
    async def first_token(self, url: str, photo: bytes, session: aiohttp.ClientSession) -> float:
        """Return the seconds to the caption's first token, while the alt text is asked for as well."""

    def service(self, folder: Path, port: int) -> Service:
        """Return how to start it."""
        return Service(
            name=self.name.split()[0].lower(),
            command=self.command(folder, port),
            environment=os.environ | self.environment(),
            ready_url=f"http://{HOST}:{port}{self.ready}",
            timeout=1200.0,
        )

    ready = "/readyz"

    def environment(self) -> Mapping[str, str]:
        """Return what it needs in its environment."""
        return {}


class OurService(PeerEngine):
    """Our service, with its default settings."""

    name = "ours"
    path = "/generate-caption"

    def __init__(self) -> None:
        self.steps: list[float] = []
        """The seconds of a decoding step in each answer that `first_token` got."""

    def command(self, folder: Path, port: int) -> tuple[str, ...]:
        """Return the command that serves the model in *folder*."""
        return (sys.executable, "-m", "benchmarks.serving.peers.ours", str(folder), str(port), str(TOKENS))

    def environment(self) -> Mapping[str, str]:
        """Return what it needs in its environment."""
        return OPENMP  # as our command line has it

    def call(self, url: str, photo: bytes) -> Call:
        """Return a call that asks for both texts of *photo*."""
        return photo_call(url + self.path, photo)

    async def first_token(self, url: str, photo: bytes, session: aiohttp.ClientSession) -> float:
        """Return it by the answer's own timing: a word is shown only once no later text can make it unsafe."""
        form = aiohttp.FormData()
        form.add_field("image", photo, filename="photo.jpg", content_type="image/jpeg")
        async with session.post(url + self.path, data=form) as answer:
            timing: Any = (await answer.json())["timing"]
        self.steps.append((timing["generate"] - timing["first_token"]) / (TOKENS - 1) / 1000)
        return float(timing["decode"] + timing["queue"] + timing["first_token"]) / 1000


class VllmServer(PeerEngine):
    """vLLM's build for CPUs, by its OpenAI-compatible endpoint, one request per text."""

    name = "vLLM (CPU)"
    ready = "/health"

    def command(self, folder: Path, port: int) -> tuple[str, ...]:
        """Return the command that serves the model in *folder*."""
        options = {
            "--host": HOST,
            "--port": port,
            "--served-model-name": BASE,
            "--dtype": "bfloat16",
            "--max-model-len": 1024,
            "--max-lora-rank": 8,
            # With a single place, rows without an adapter come back in its style.
            "--max-loras": 2,
            "--lora-modules": f"{ADAPTER}={folder / ADAPTER}",
        }
        arguments = [str(word) for option in options.items() for word in option]
        return (str(ROOT / ".venv/vllm/bin/vllm"), "serve", str(folder / BASE), "--enable-lora", *arguments)

    def environment(self) -> Mapping[str, str]:
        """Return what it needs in its environment."""
        return {"HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"}

    def call(self, url: str, photo: bytes) -> Call:
        """Return a call that asks for both texts of *photo*."""
        caption, alt = self._bodies(photo, stream=False)

        async def ask(session: aiohttp.ClientSession) -> None:
            await asyncio.gather(*(self._post(session, url, body) for body in (caption, alt)))

        return ask

    async def first_token(self, url: str, photo: bytes, session: aiohttp.ClientSession) -> float:
        """Return the seconds to the caption's first token."""
        caption, alt = self._bodies(photo, stream=True)
        started = time.perf_counter()

        async def first(body: bytes) -> float:
            seconds = 0.0
            async with session.post(f"{url}/v1/chat/completions", data=body, headers=_JSON) as answer:
                answer.raise_for_status()
                async for line in answer.content:
                    if not seconds and line.startswith(b"data: {") and _has_text(line):
                        seconds = time.perf_counter() - started
            return seconds

        seconds, _ = await asyncio.gather(first(caption), first(alt))
        return seconds

    @staticmethod
    async def _post(session: aiohttp.ClientSession, url: str, body: bytes) -> None:
        async with session.post(f"{url}/v1/chat/completions", data=body, headers=_JSON) as answer:
            answer.raise_for_status()
            await answer.read()

    @staticmethod
    def _bodies(photo: bytes, *, stream: bool) -> tuple[bytes, bytes]:
        picture = {"url": f"data:image/jpeg;base64,{base64.b64encode(photo).decode()}"}

        def body(model: str, prompt: str) -> bytes:
            content = [{"type": "image_url", "image_url": picture}, {"type": "text", "text": prompt}]
            options = {"model": model, "max_tokens": TOKENS, "ignore_eos": True, "temperature": 0, "stream": stream}
            return json.dumps(options | {"messages": [{"role": "user", "content": content}]}).encode()

        return body(ADAPTER, build_prompt(Request())), body(BASE, DESCRIBE_PROMPT)


class OpenvinoServer(PeerEngine):
    """OpenVINO by optimum-intel, in float16 as it exports, without the adapter, which costs it nothing so."""

    name = "OpenVINO"
    ready = "/"

    def prepare(self, folder: Path) -> None:
        """Export the model. transformers 4 reads some settings under other names."""
        source = folder / "transformers-4"
        source.mkdir()
        for path in (folder / BASE).iterdir():
            (source / path.name).symlink_to(path)
        _rewrite(source / "tokenizer_config.json", _without_backend)
        _rewrite(source / "config.json", _with_rope_theta)
        exporter = str(ROOT / ".venv/openvino/bin/optimum-cli")
        options = ("--task", "image-text-to-text", "--weight-format", "fp16", str(folder / "openvino"))
        subprocess.run(
            (exporter, "export", "openvino", "--model", str(source), *options),
            env=os.environ | self.environment(), check=True, capture_output=True,
        )  # fmt: skip

    def command(self, folder: Path, port: int) -> tuple[str, ...]:
        """Return the command that serves the model in *folder*."""
        script = str(Path(__file__).with_name("openvino_server.py"))
        return (str(ROOT / ".venv/openvino/bin/python"), script, str(folder / "openvino"), str(port), str(TOKENS))

    def environment(self) -> Mapping[str, str]:
        """Return what it needs in its environment."""
        # Of this process's variables, it has no use for the path to our packages.
        return {"HF_HUB_OFFLINE": "1", "PYTHONPATH": ""}

    def call(self, url: str, photo: bytes) -> Call:
        """Return a call that asks for both texts of *photo*."""

        async def ask(session: aiohttp.ClientSession) -> None:
            await self.first_token(url, photo, session)

        return ask

    async def first_token(self, url: str, photo: bytes, session: aiohttp.ClientSession) -> float:
        """Return the seconds to the caption's first token."""
        async with session.post(url, data=photo) as answer:
            answer.raise_for_status()
            return float((await answer.json())["first_token"])


_JSON = {"Content-Type": "application/json"}


def _has_text(line: bytes) -> bool:
    choices = json.loads(line.removeprefix(b"data: "))["choices"]
    return bool(choices and choices[0]["delta"].get("content"))


def _rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.unlink()  # a link
    path.write_text(json.dumps(content))


def _without_backend(settings: dict[str, Any]) -> None:
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    for name in ("backend", "extra_special_tokens"):
        settings.pop(name, None)


def _with_rope_theta(settings: dict[str, Any]) -> None:
    text = settings["text_config"]
    text["rope_theta"] = text.pop("rope_parameters")["rope_theta"]
