"""A service that is told to end while it writes a caption: it takes no more requests, and answers that one."""

import os
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import patience
import pytest
from openai_server import openai_server
from patience import until
from photos import real_photos
from service_process import service

from demo.stack.stack import Stack

pytestmark = pytest.mark.integration


def listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def test_a_caption_in_progress_is_answered_after_sigterm(tmp_path: Path) -> None:
    with openai_server("key", "photographer") as engine, Stack(tmp_path) as stack:
        environment = {
            **os.environ,
            "SNAP2CAPTION_STATE_DIR": str(tmp_path),
            "SNAP2CAPTION_MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
            "SNAP2CAPTION_SERVING_ENGINE_KEY": "key",
            "SNAP2CAPTION_SERVING_ENGINE_SECONDS": str(patience.LONGEST),
            "SNAP2CAPTION_SERVING_ENGINE_URL": engine.url,
            "SNAP2CAPTION_SERVING_MODEL": "photographer",
            "SNAP2CAPTION_SERVING_SHUTDOWN_SECONDS": str(int(patience.LONGEST)),
        }
        serving = replace(service(tmp_path, environment), grace=patience.LONGEST)
        running = stack.run(serving)
        url = serving.ready_url.removesuffix("/readyz")
        until(lambda: listens(int(url.rpartition(":")[2])))
        until(lambda: httpx.get(serving.ready_url, timeout=patience.LONGEST).status_code == 200)
        engine.pause.clear()
        with ThreadPoolExecutor() as pool:
            photo = real_photos()[0].read_bytes()
            answer = pool.submit(patience.post, f"{url}/v1/generate-caption", files={"image": photo})
            until(lambda: "snap2caption_photos_in_flight 1.0" in patience.get(f"{url}/metrics").text)
            running.request_stop()
            until(lambda: not listens(int(url.rpartition(":")[2])))
            engine.pause.set()
            assert answer.result().status_code == 200
        assert until(lambda: running.status() is not None)
