"""The two images, really run: one trains, gates and promotes a model, the other serves it, both as their docs say.

`make test-images` runs it, against a Docker that has built them (`make image-training image-serving`).
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import patience
import pytest
from photos import real_photos
from tiny import recipe_content, write_dataset

from demo.run import wait_for
from demo.stack.ports import HOST, Ports
from snap2caption.settings import ROOT

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(1800),
    pytest.mark.skipif("TEST_IMAGES" not in os.environ, reason="needs Docker and the images; run `make test-images`"),
]

TRAINING, SERVING = "snap2caption-training", "snap2caption-serving"
HARDENED = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")  # noqa: S108 - the container's
STATE = "/var/lib/snap2caption"

LARGEST = 2 * 10**9
"""Bytes, of the serving image for the processor."""

FOREIGN = {
    TRAINING: ("airflow", "dags", "demo", "etl", "plugins", "serving"),
    SERVING: ("airflow", "dags", "demo", "etl", "plugins", "training"),
}
"""What an image has no use for."""


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, f"docker {' '.join(arguments)}\n{done.stdout}{done.stderr}"
    return done.stdout.strip()


def inside(image: str, code: str) -> str:
    """What the image's Python says to *code*, under the rights that it is run with."""
    return docker("run", "--rm", *HARDENED, "--entrypoint", "python3", image, "-c", code)


def answers(url: str) -> bool:
    """Whether *url* answers with success."""
    try:
        return httpx.get(url, timeout=patience.LONGEST).is_success
    except httpx.TransportError:
        return False


@dataclass(frozen=True)
class World:
    """What both containers are given: the address of MLflow, folders to read, and a volume of their own each."""

    tracking_uri: str
    models: Path
    folder: Path
    name: str

    def options(self, image: str, tracking_uri: str) -> list[str]:
        return [
            *HARDENED,
            "--network=host",  # MLflow listens on loopback
            f"--volume={self.name}-{image}:{STATE}",
            f"--volume={self.models}:/opt/models:ro",
            f"--volume={self.folder}:/data:ro",
            f"--env=SNAP2CAPTION_MLFLOW_TRACKING_URI={tracking_uri}",
            f"--env=SNAP2CAPTION_REGISTERED_MODEL={self.name}",
            "--env=SNAP2CAPTION_SERVING_MAX_NEW_TOKENS=16",
            "--env=SNAP2CAPTION_SERVING_POLL_SECONDS=1",
            "--env=MLFLOW_HTTP_REQUEST_MAX_RETRIES=1",
        ]

    def train(self, *command: str) -> str:
        """Run a command of the training image, and return what it printed."""
        return docker("run", "--rm", "--init", *self.options(TRAINING, self.tracking_uri), TRAINING, *command)


@pytest.fixture(scope="module")
def world(tracking_uri: str, models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("data")
    write_dataset(folder / "dataset", {"train": 24, "validation": 6, "test": 6})
    (folder / "recipe.yaml").write_text(json.dumps(recipe_content("file:///data/dataset")))
    for read in (folder, *folder.rglob("*"), models_dir, *models_dir.rglob("*")):
        read.chmod(0o755)  # by the containers' users
    world = World(tracking_uri, models_dir, folder, f"images-{uuid4().hex[:8]}")
    yield world
    docker("volume", "rm", "--force", f"{world.name}-{TRAINING}", f"{world.name}-{SERVING}")


@pytest.fixture(scope="module")
def champion(world: World) -> str:
    """The MLflow run of a model that the training image has trained and promoted."""
    run = world.train("train", "--config", "/data/recipe.yaml").splitlines()[-1]
    # A tiny model's captions are none that the gate would admit.
    world.train("promote", run, "--force")
    return run


@dataclass(frozen=True)
class Running:
    """A service in a container."""

    container: str
    url: str

    def health(self) -> str:
        return docker("inspect", "--format", "{{.State.Health.Status}}", self.container)

    def is_ready(self) -> bool:
        state = docker("inspect", "--format", "{{.State.Status}}", self.container)
        assert state == "running", docker("logs", self.container)
        return answers(f"{self.url}/readyz")

    def caption(self) -> httpx.Response:
        photo = real_photos()[0].read_bytes()
        return patience.post(f"{self.url}/v1/generate-caption", files={"file": ("photo.jpg", photo, "image/jpeg")})


def start(world: World, tracking_uri: str) -> Running:
    port = Ports(world.folder / "ports.json").get(uuid4().hex)
    serve = ("serve", "--host", HOST, "--port", str(port))
    # Docker's own check asks port 8000, as a container that is not on the host's network has it.
    check = f"import urllib.request; urllib.request.urlopen('http://{HOST}:{port}/healthz', timeout=4)"
    health = (f'--health-cmd=python3 -c "{check}"', "--health-interval=1s")
    container = docker("run", "--detach", *health, *world.options(SERVING, tracking_uri), SERVING, *serve)
    running = Running(container, f"http://{HOST}:{port}")
    try:
        wait_for(running.is_ready, patience.LONGEST, lambda: docker("logs", container))
    except BaseException:
        docker("rm", "--force", container)
        raise
    return running


@pytest.mark.parametrize("image", [TRAINING, SERVING])
def test_it_holds_nothing_that_it_has_no_use_for(image: str) -> None:
    code = f"import importlib.util as u; print([n for n in {FOREIGN[image]!r} if u.find_spec(n)])"
    assert inside(image, code) == "[]"
    assert inside(image, "import shutil; print(shutil.which('node'))") == "None"


@pytest.mark.parametrize("image", [TRAINING, SERVING])
def test_it_has_no_rights_and_a_root_that_nobody_writes(image: str) -> None:
    code = f"""
import os, pathlib
print(os.getuid(), os.getgid())
for place in ("/opt/venv/x", "/opt/snap2caption/x", "/etc/x", "{STATE}/x", "/tmp/x"):
    try:
        pathlib.Path(place).write_text("x")
        print("wrote", place)
    except OSError:
        pass
"""
    (user, group), *written = (line.split() for line in inside(image, code).splitlines())
    assert user == "10001"
    assert group != "0"
    assert written == [["wrote", f"{STATE}/x"], ["wrote", "/tmp/x"]]  # noqa: S108 - the container's


def test_the_service_takes_less_than_two_gigabytes() -> None:
    assert int(docker("inspect", "--format", "{{.Size}}", SERVING)) < LARGEST


def test_what_one_image_trained_the_other_serves_and_keeps(world: World, champion: str) -> None:
    running = start(world, world.tracking_uri)
    try:
        answer = running.caption()
        assert answer.status_code == httpx.codes.OK, answer.text
        assert answer.json()["model_version"] == f"{world.name}/1"
        assert '<div id="root">' in patience.get(f"{running.url}/").text
        wait_for(lambda: running.health() == "healthy" or None, patience.LONGEST, running.health)
    finally:
        docker("rm", "--force", running.container)
    # Another container on the same volume, and no registry: the last good copy.
    running = start(world, f"http://{HOST}:9")
    try:
        assert running.caption().json()["model_version"] == f"{world.name}/1"
        docker("stop", "--time", "30", running.container)
        assert docker("inspect", "--format", "{{.State.ExitCode}}", running.container) == "0"
    finally:
        docker("rm", "--force", running.container)
    assert champion


def test_the_service_runs_alone_as_documented(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    port = Ports(tmp_path / "ports.json").get("service")
    url = f"http://{HOST}:{port}"
    # Like Ctrl-C, the signal shall reach the container's client as well.
    running = subprocess.Popen(["make", "docker-run", f"PORT={port}"], cwd=tmp_path, start_new_session=True)
    try:
        patience.until(lambda: running.poll() is not None or answers(f"{url}/readyz"))
        key = (tmp_path / "secrets" / "api_key").read_text().strip()
        photo = {"image": (ROOT / "sample.jpg").read_bytes()}
        assert httpx.post(f"{url}/v1/generate-caption", files=photo).status_code == httpx.codes.UNAUTHORIZED
        command = [sys.executable, ROOT / "demo_request.py", ROOT / "sample.jpg", url]
        environment = {**os.environ, "SNAP2CAPTION_API_KEY": key}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.strip()
    finally:
        os.killpg(running.pid, signal.SIGINT)
        running.wait(patience.LONGEST)
    assert docker("ps", "--all", "--quiet", "--filter", "name=^snap2caption$") == ""
