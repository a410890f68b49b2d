import socket
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import patience
import pytest
import uvicorn
from patience import LONGEST, until
from starlette.testclient import TestClient

from serving.app import build_app
from serving.feedback.service import open_feedback_service
from serving.models.served_model import ServedModel
from serving.server import run
from serving.settings import ServingSettings
from snap2caption.errors import UserError

if TYPE_CHECKING:
    from conftest import ScriptedEngine

    from serving.engines.base import GenerationRequest

pytestmark = pytest.mark.unit


def settings(folder: Path, **more: object) -> ServingSettings:
    given = {"cache_dir": folder, "voice_file": folder / "voice.sqlite", "feedback_dir": folder / "feedback", **more}
    return ServingSettings(**given)


def ask(client: TestClient, path: str) -> tuple[int, str]:
    answer = client.get(path)
    return answer.status_code, answer.json().get("reason", "")


def break_for_good(engine: "ScriptedEngine") -> None:
    """Let every further photo fail, a test picture too."""

    def fail(tasks: "Sequence[GenerationRequest]") -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    engine.add = fail  # type: ignore[method-assign]


def test_readiness_tells_how_the_service_is(served: ServedModel, tmp_path: Path, photo: bytes) -> None:
    given = settings(tmp_path)
    feedback_service = open_feedback_service(given, (tmp_path / "store").as_uri())
    with TestClient(build_app(given, lambda: served, feedback_service=feedback_service)) as client:
        client.post("/generate-caption", files={"image": photo})
        until(lambda: client.get("/readyz").json()["feedback"] is not None)
        body = client.get("/readyz").json()
    assert body["model_version"] == "test/1"
    assert body["worker"]["alive"]
    assert body["queue"] == {"inside": 0, "capacity": 72, "expected_wait_seconds": 0.0, "overloaded": False}
    assert body["registry"] is None, "none is followed here"
    assert body["hashtags"] is None, "no datasets are followed here"
    assert body["degraded"] == []
    assert body["feedback"] == {"feedback": 0, "erasures": 0, "oldest_seconds": 0.0}


def test_without_a_model_it_lives_and_is_not_ready(tmp_path: Path) -> None:
    with TestClient(build_app(settings(tmp_path), lambda: None)) as client:
        assert ask(client, "/healthz") == (200, "")
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["reason"] == "no_model"
    assert answer.json()["worker"]["alive"]


def samples(client: TestClient) -> list[str]:
    return client.get("/metrics").text.splitlines()


def test_metrics_tell_whether_it_is_ready(
    engine: "ScriptedEngine", served: ServedModel, tmp_path: Path, photo: bytes
) -> None:
    in_service: list[ServedModel] = []
    app = build_app(settings(tmp_path), lambda: in_service[0] if in_service else None)
    with TestClient(app) as client, ThreadPoolExecutor(1) as pool:
        assert "snap2caption_ready 0.0" in samples(client)
        in_service.append(served)
        engine.go.clear()
        waiting = pool.submit(client.post, "/generate-caption", files={"image": photo})
        until(lambda: "snap2caption_photos_in_flight 1.0" in samples(client))
        assert {"snap2caption_ready 1.0", "snap2caption_photos_capacity 72.0"} <= {*samples(client)}
        assert 'snap2caption_degraded{what="registry"} 0.0' in samples(client)
        engine.go.set()
        assert waiting.result(LONGEST).status_code == 200
        assert "snap2caption_photos_in_flight 0.0" in samples(client)


def test_a_full_queue_is_told_and_no_reason_to_send_nobody(
    engine: "ScriptedEngine", served: ServedModel, tmp_path: Path, photo: bytes
) -> None:
    engine.go.clear()
    app = build_app(settings(tmp_path, max_batch=1, queue_size=1), lambda: served)
    with TestClient(app) as client, ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(client.post, "/generate-caption", files={"image": photo}) for _ in range(2)]
        until(lambda: client.get("/readyz").json()["queue"]["overloaded"])
        assert ask(client, "/readyz") == (200, "")
        engine.go.set()
        assert [one.result(LONGEST).status_code for one in waiting] == [200, 200]
        assert not client.get("/readyz").json()["queue"]["overloaded"]


def test_a_model_that_does_not_come_back_is_told_until_it_does(
    engine: "ScriptedEngine", served: ServedModel, tmp_path: Path, photo: bytes
) -> None:
    engine.go.clear()
    app = build_app(settings(tmp_path, stuck_seconds=0.5), lambda: served)
    with TestClient(app) as client, ThreadPoolExecutor(1) as pool:
        until(lambda: ask(client, "/healthz") == (200, ""))
        waiting = pool.submit(client.post, "/generate-caption", files={"image": photo})
        until(lambda: ask(client, "/healthz") == (503, "worker_stuck"))
        assert ask(client, "/readyz") == (503, "worker_stuck")
        engine.go.set()
        assert waiting.result(LONGEST).status_code == 200
        for path in ("/readyz", "/healthz"):
            until(lambda path=path: ask(client, path) == (200, ""))


def test_a_photo_that_breaks_the_model_once_breaks_nothing_else(
    engine: "ScriptedEngine", served: ServedModel, tmp_path: Path, photo: bytes
) -> None:
    gave_up = threading.Event()
    app = build_app(settings(tmp_path), lambda: served, give_up=gave_up.set)
    with TestClient(app, raise_server_exceptions=False) as client:
        client.post("/generate-caption", files={"image": photo}, data={"hint": "fog"})
        engine.poison = engine.prompts[-1]
        hinted = client.post("/generate-caption", files={"image": photo}, data={"hint": "fog"})
        assert hinted.status_code == 500
        assert client.post("/generate-caption", files={"image": photo}).status_code == 200
        assert ask(client, "/healthz") == (200, "")
    assert not gave_up.is_set()


def test_a_model_that_can_write_no_more_ends_the_worker(
    engine: "ScriptedEngine", served: ServedModel, tmp_path: Path, photo: bytes
) -> None:
    gave_up = threading.Event()
    app = build_app(settings(tmp_path, max_batch=1), lambda: served, give_up=gave_up.set)
    engine.go.clear()
    with TestClient(app, raise_server_exceptions=False) as client, ThreadPoolExecutor(4) as pool:
        running = pool.submit(client.post, "/generate-caption", files={"image": photo})
        assert engine.started.wait(LONGEST)
        waiting = [pool.submit(client.post, "/generate-caption", files={"image": photo}) for _ in range(3)]
        until(lambda: client.get("/readyz").json()["queue"]["inside"] == 4)
        break_for_good(engine)
        engine.go.set()
        assert running.result(LONGEST).status_code == 200
        answers = [one.result(LONGEST) for one in waiting]
        assert gave_up.wait(LONGEST)
        answers.append(client.post("/generate-caption", files={"image": photo}))
        # The first request met the error itself.
        assert sorted(answer.status_code for answer in answers) == [500, 503, 503, 503]
        refused = [answer for answer in answers if answer.status_code == 503]
        assert {answer.json()["reason"] for answer in refused} == {"worker_ended"}
        assert all(answer.headers["retry-after"] for answer in refused)
        for path in ("/healthz", "/readyz"):
            assert ask(client, path) == (503, "worker_ended")
        assert not client.get("/readyz").json()["worker"]["alive"]


def test_a_fault_of_our_own_leaves_nobody_waiting(served: ServedModel, tmp_path: Path, photo: bytes) -> None:
    def choose() -> ServedModel:
        if threading.current_thread().name == "batcher":
            raise AssertionError("a fault of our own")
        return served

    with TestClient(build_app(settings(tmp_path), choose)) as client:
        answer = client.post("/generate-caption", files={"image": photo})
        assert (answer.status_code, answer.json()["reason"]) == (503, "worker_ended")
        assert ask(client, "/healthz") == (503, "worker_ended")


@contextmanager
def listening() -> Iterator[socket.socket]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        yield listener


def test_idle_connections_are_kept_for_as_long_as_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[int] = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda server, **_: kept.append(server.config.timeout_keep_alive))
    with listening() as listener:
        run(
            lambda _: build_app(settings(tmp_path), lambda: None),
            listener,
            ServingSettings(keep_alive_seconds=75),
        )
    assert kept == [75]


def test_the_process_ends_when_only_a_new_start_can_help(
    engine: "ScriptedEngine", served: ServedModel, tmp_path: Path, photo: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    break_for_good(engine)
    with listening() as listener, ThreadPoolExecutor(1) as pool:
        serving = pool.submit(
            run,
            lambda give_up: build_app(settings(tmp_path), lambda: served, give_up=give_up),
            listener,
            settings(tmp_path),
        )
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

        def answers() -> bool:
            try:
                return patience.get(f"{url}/readyz").is_success
            except httpx.ConnectError:
                return False

        until(answers)
        assert f"the service is up at {url}" in caplog.text
        # The request that met the error is answered before the process ends.
        assert patience.post(f"{url}/generate-caption", files={"image": photo}).status_code == 500
        with pytest.raises(UserError, match="restart the service"):
            serving.result(LONGEST)
