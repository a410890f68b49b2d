"""Chaos test: the service, its registry and the store are killed at random moments under load.

Answers are complete or missing, and the service recovers by itself.
"""

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import patience
import pytest
from patience import LONGEST, until
from photos import real_photos
from service_process import environment, service
from victims import Victim, running

from demo.stack.ports import Ports
from demo.stack.services.mlflow import mlflow
from demo.stack.services.seaweedfs import seaweedfs
from serving.client import Client
from serving.http.schemas import CaptionAnswer, Options
from snap2caption.errors import UserError
from snap2caption.registry.client import CHAMPION, Registry
from snap2caption.registry.versions import ModelVersion
from snap2caption.settings import Settings
from snap2caption.store import open_store
from training.gate import promotion

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(0),
]  # `make chaos-serving` runs for as long as its rounds take

ROUNDS = int(os.environ.get("CHAOS_SERVING_ROUNDS", "2"))
"""Kills: of the store; of registry and service; of the registry; of the service, in turn."""

CLIENTS = 3
STORE = "s3://serving/feedback"


@pytest.fixture(scope="module")
def registry_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    """A registry of our own: the tests of other modules need theirs."""
    folder = tmp_path_factory.mktemp("registry")
    server, _ = mlflow(folder, Ports(folder / "ports.json"))
    with running(server, folder) as victim:
        yield victim


@pytest.fixture(scope="module")
def tracking_uri(registry_server: Victim) -> str:
    return registry_server.service.ready_url.removesuffix("/health")


class Load:
    """Clients that ask without a pause, every third time for a stream, and send feedback on every answer that they
    keep.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._photo = real_photos()[20].read_bytes()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._work) for _ in range(CLIENTS)]
        self.answers: list[CaptionAnswer] = []
        self.lost: list[str] = []
        self.feedback: list[str] = []
        self.faults: list[BaseException] = []

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        number = 0
        with Client(self._url, timeout=LONGEST, patience=LONGEST) as client:
            while not self._over.is_set():
                number += 1
                try:
                    answer = self._ask(client, stream=number % 3 == 0)
                except UserError as error:
                    # Refused with a sentence, or the connection broke: a clear error that is safe to retry.
                    self.lost.append(str(error))
                    time.sleep(0.05)
                    continue
                except BaseException as error:
                    self.faults.append(error)
                    raise
                self.answers.append(answer)
                if number % 5 == 0:
                    self._say(answer.request_id)

    def _ask(self, client: Client, *, stream: bool) -> CaptionAnswer:
        options = Options(keep_for_feedback=True)
        if not stream:
            return client.caption(self._photo, options=options)
        *_, last = client.stream(self._photo, options=options)
        assert isinstance(last, CaptionAnswer), "a stream that was cut off looks whole"
        return last

    def _say(self, request_id: str) -> None:
        try:
            answer = patience.post(f"{self._url}/v1/feedback", json={"request_id": request_id, "rating": 2})
        except httpx.TransportError:
            return
        assert answer.status_code == 202, answer.text
        self.feedback.append(answer.json()["id"])


class World:
    """The service with all that it needs, and what can happen to it."""

    def __init__(self, serving: Victim, registry: Victim, store: Victim, models: Registry, names: list[str]) -> None:
        self.serving, self.registry, self.store = serving, registry, store
        self.url = serving.service.ready_url.removesuffix("/readyz")
        self.load = Load(self.url)
        self._models = models
        self._versions: list[ModelVersion] = [models.resolve(name) for name in names]
        self._random = random.Random(7)

    def readiness(self) -> dict[str, object]:
        return dict(patience.get(f"{self.url}/readyz").json())

    def some_answers(self, least: int = 3) -> None:
        """Wait until clients were answered again, as it is now."""
        before = len(self.load.answers)
        until(lambda: len(self.load.answers) >= before + least)

    def any_moment(self) -> None:
        time.sleep(self._random.uniform(0, 0.5))

    def swap(self) -> None:
        """Make the other version the champion, and wait until it answers."""
        self._versions.reverse()
        name, number = self._models.name, self._versions[0].version
        self._models.client().set_registered_model_alias(name, CHAMPION, str(number))
        until(lambda: self.readiness().get("model_version") == f"{name}/{number}")
        self.some_answers()

    def lose_store(self) -> None:
        lost, said = len(self.load.lost), len(self.load.feedback)
        self.store.kill()
        until(lambda: len(self.load.feedback) > said)
        self.some_answers()
        # The readiness probe reports it, but the service stays ready.
        until(lambda: self.readiness()["feedback"]["feedback"] > 0)  # type: ignore[index]
        assert httpx.get(f"{self.url}/readyz", timeout=LONGEST).is_success
        assert len(self.load.lost) == lost, self.load.lost[lost:]
        self.store.start()
        self.store.wait()

    def lose_registry(self) -> None:
        lost = len(self.load.lost)
        self.registry.kill()
        until(lambda: not self.readiness()["registry"]["reachable"])  # type: ignore[index]
        assert httpx.get(f"{self.url}/readyz", timeout=LONGEST).is_success
        self.some_answers()
        assert len(self.load.lost) == lost, self.load.lost[lost:]
        self.registry.start()
        self.registry.wait()
        self.swap()

    def lose_service(self) -> None:
        self.serving.kill()
        self.serving.start()
        self.serving.wait()
        self.some_answers()
        self.swap()

    def lose_registry_and_service(self) -> None:
        self.registry.kill()
        self.serving.kill()
        self.serving.start()
        # It is ready with the copy on its disk.
        self.serving.wait()
        assert not self.readiness()["registry"]["reachable"]  # type: ignore[index]
        self.some_answers()
        self.registry.start()
        self.registry.wait()
        self.swap()


@pytest.fixture
def world(
    installation: Settings,
    two_versions: tuple[str, str],
    registry_server: Victim,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    for run in two_versions[::-1]:
        promotion.promote(run, installation, force=True)
    store, client, _ = seaweedfs(tmp_path, Ports(tmp_path / "ports.json"))
    for name, value in client.items():
        monkeypatch.setenv(name, value)
    addresses = {"SNAP2CAPTION_FEEDBACK_URI": STORE, "SNAP2CAPTION_DATASETS_URI": "s3://serving/datasets"}
    with (
        running(store, tmp_path) as store_server,
        running(service(tmp_path, environment(installation, **client, **addresses)), tmp_path) as server,
    ):
        models = Registry(installation.mlflow_tracking_uri, installation.registered_model)
        yield World(server, registry_server, store_server, models, list(two_versions))


def test_whatever_is_killed_answers_are_whole_again(world: World) -> None:
    turns: list[Callable[[], None]] = [
        world.lose_store, world.lose_registry_and_service, world.lose_registry, world.lose_service,
    ]  # fmt: skip
    with world.load as load:
        world.some_answers()
        for turn in range(ROUNDS):
            world.any_moment()
            turns[turn % len(turns)]()
    assert load.faults == []
    # The same photo and version give the same caption: nothing was truncated or mixed.
    captions = {(answer.model_version, answer.caption, answer.alt_text) for answer in load.answers}
    assert len(captions) == len({version for version, *_ in captions}), captions
    assert len({answer.request_id for answer in load.answers}) == len(load.answers)
    store = open_store(STORE)
    until(lambda: len(list(store.list("records/"))) >= len(load.feedback))
    kept = Counter(Path(found.key).stem for found in store.list("records/"))
    assert set(load.feedback) <= kept.keys()
    assert max(kept.values()) == 1
    print(
        f"\n{ROUNDS} kills: {len(load.answers)} answers, {len(load.lost)} refused or cut off, {len(load.feedback)} feedback stored"
    )
