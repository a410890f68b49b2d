"""The stack of docker-compose.yml on ports and in a project of its own, with what stands in for images of others."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import patience
import yaml
from server_thread import answering

from demo.airflow import AirflowClient
from demo.stack.ports import Ports
from demo.stack.services.airflow import AirflowAccess
from snap2caption.settings import ROOT

STAND_INS = {
    **{name: name for name in ("postgres", "prometheus", "alertmanager", "blackbox-exporter", "node-exporter")},
    "proxy": "caddy",
}
"""Targets of the stand-ins' Dockerfile, by the service whose image they stand for."""
WATCHING = ("prometheus", "alertmanager", "blackbox-exporter", "node-exporter")
UNAVAILABLE = ("grafana", "statsd-exporter")
"""Services that nothing stands in for: they are left out where their images can't be pulled."""
LONG_RUNNING = (
    *("postgres", "seaweedfs", "mlflow", "airflow-apiserver", "airflow-scheduler", "airflow-dag-processor"),
    *("airflow-triggerer", "label-studio", "label-studio-webhook", "serving", *WATCHING),
)
ON_REQUEST = ("feedback", "proxy")
"""Services that run for long in profiles of their own."""
_PORTS = (
    *("SERVING", "FEEDBACK", "AIRFLOW", "LABEL_STUDIO", "MLFLOW", "PROMETHEUS", "ALERTMANAGER", "GRAFANA"),
    *("PROXY_HTTP", "PROXY_HTTPS"),
)


@dataclass(frozen=True)
class Stack:
    """A folder with what `make up` needs, with ports and a project of its own."""

    folder: Path
    project: str
    ports: dict[str, int]

    def run(
        self, *command: str | Path, check: bool = True, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, "COMPOSE_PROJECT_NAME": self.project, **self.key(), **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0 or not check, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done

    def key(self) -> dict[str, str]:
        file = self.folder / "secrets" / "api_key"
        return {"SNAP2CAPTION_API_KEY": file.read_text().strip()} if file.exists() else {}

    def compose(self, *arguments: str) -> str:
        return self.run("docker", "compose", *arguments).stdout.strip()

    def by_hand(self, service: str, *arguments: str) -> str:
        """Run a service that ends, and return the last line that it prints."""
        return self.compose("run", "--rm", "-T", service, *arguments).splitlines()[-1]

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self.ports[service]}"

    def secret(self, name: str) -> str:
        return (self.folder / "secrets" / name).read_text().strip()

    def containers(self) -> dict[str, str]:
        """When each running container of each service was started."""
        ids = self.compose("ps", "--quiet").split()
        shown: list[dict[str, Any]] = json.loads(self.run("docker", "inspect", *ids).stdout)
        return {one["Config"]["Labels"]["com.docker.compose.service"]: one["State"]["StartedAt"] for one in shown}

    def container(self, service: str) -> str:
        (container,) = self.compose("--profile=*", "ps", "--all", "--quiet", service).split()
        return container

    def health(self, service: str) -> str:
        shown = self.run("docker", "inspect", "--format", "{{.State.Health.Status}}", self.container(service))
        return shown.stdout.strip()

    def wait_for_health(self, health: str, *services: str) -> None:
        for service in services:
            patience.until(partial(self._has_health, health, service), partial(self._told_health, service))

    def _has_health(self, health: str, service: str) -> bool:
        return self.health(service) == health

    def _told_health(self, service: str) -> str:
        return f"{service} is {self.health(service)}"

    @contextmanager
    def frozen(self, *services: str) -> Iterator[None]:
        """Have the services' processes hang, and go on at the end."""
        containers = [self.container(service) for service in services]
        try:
            for container in containers:
                self._signal(container, signal.SIGSTOP)
            yield
        finally:
            for container in containers:
                self._signal(container, signal.SIGCONT)

    def _signal(self, container: str, number: signal.Signals) -> None:
        sent: set[int] = set()
        # Until no process is left that was started meanwhile.
        while more := self._processes(container) - sent:
            for process in more:
                with suppress(ProcessLookupError):
                    os.kill(process, number)
            sent |= more

    def _processes(self, container: str) -> set[int]:
        _, *lines = self.run("docker", "top", container, "-eo", "pid").stdout.split()
        return {int(line) for line in lines}

    def caption(self, url: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        command = (sys.executable, ROOT / "demo_request.py", ROOT / "sample.jpg", url or self.url("SERVING"))
        return self.run(*command, check=False, environment=environment)

    def served(self) -> str:
        """The version of the model that captions a photo now."""
        photo = {"image": (ROOT / "sample.jpg").read_bytes()}
        key = {"X-API-Key": self.secret("api_key")}
        answer = patience.post(f"{self.url('SERVING')}/v1/generate-caption", files=photo, headers=key)
        version: str = answer.json()["model_version"]
        return version

    def captions(self) -> None:
        """Wait until it captions a photo."""
        patience.until(lambda: self.caption().returncode == 0, lambda: self.caption().stderr)

    @contextmanager
    def airflow(self) -> Iterator[AirflowClient]:
        access = AirflowAccess(self.url("AIRFLOW"), "admin", self.secret("airflow_admin_password"), "")
        with AirflowClient(access) as client:
            yield client

    def train(self, corpus: str) -> str:
        """Have the DAGs make a model of a corpus, and put it into service. Return its run."""
        with self.airflow() as airflow:
            patience.until(lambda: airflow.knows("etl") and airflow.knows("training"))
            run = airflow.trigger("etl", {"urls": [corpus]})
            for _ in airflow.watch("etl", run, patience.LONGEST):
                pass
            # The dataset's event starts it.
            (training,) = patience.until(lambda: airflow.runs("training"))
            for _ in airflow.watch("training", training, 3 * patience.LONGEST):
                pass
            verdict = airflow.result("training", training, "gate")
        model: str = verdict["run_id"]
        if not all(rule["passed"] for rule in verdict["rules"]):
            # So few photos teach it little; what is tested is that the parts work together.
            promote = ("python3", "-m", "snap2caption", "promote", model, "--force")
            self.compose("exec", "-T", "airflow-scheduler", "with-secrets", *promote)
        self.captions()
        return model

    def correct_a_caption(self, photo: Path = ROOT / "sample.jpg") -> str:
        """Caption a photo that may be kept, and correct the caption. Return the request's id."""
        key = {"X-API-Key": self.secret("api_key")}
        image = {"image": (photo.name, photo.read_bytes(), "image/jpeg")}
        url = f"{self.url('SERVING')}/v1"
        agreed = patience.post(f"{url}/generate-caption", files=image, data={"keep_for_feedback": "true"}, headers=key)
        assert agreed.is_success, agreed.text
        request: str = agreed.json()["request_id"]
        sent = {"request_id": request, "rating": 1, "edited_caption": "My own words"}
        answer = patience.post(f"{url}/feedback", json=sent, headers=key)
        assert answer.is_success, answer.text
        return request

    def records(self) -> list[dict[str, Any]]:
        """The feedback in the store."""
        reading = (
            "import boto3\n"
            "c = boto3.client('s3')\n"
            "for o in c.list_objects_v2(Bucket='feedback', Prefix='records/').get('Contents', ()):\n"
            "    print(c.get_object(Bucket='feedback', Key=o['Key'])['Body'].read().decode())"
        )
        return [json.loads(line) for line in self._in_scheduler(reading).splitlines()]

    def _in_scheduler(self, code: str) -> str:
        return self.compose("exec", "-T", "airflow-scheduler", "with-secrets", "python3", "-c", code)

    def postgres(self, database: str, query: str) -> str:
        return self.compose(
            "exec",
            "-T",
            "postgres",
            "psql",
            "--username=postgres",
            "--tuples-only",
            "--no-align",
            database,
            "-c",
            query,
        )

    def contents(self) -> dict[str, str]:
        """What must be as it was after a wipe and a restore: rows, objects, files, each with its digest."""
        found = {
            "runs": self.postgres("mlflow", "SELECT run_uuid FROM runs ORDER BY 1"),
            "versions": self.postgres("mlflow", "SELECT name, version, run_id FROM model_versions ORDER BY 1, 2"),
            "aliases": self.postgres("mlflow", "SELECT * FROM registered_model_aliases ORDER BY 1, 2"),
            "dag runs": self.postgres("airflow", "SELECT dag_id, run_id FROM dag_run ORDER BY 1, 2"),
            "annotators": self.postgres("label_studio", "SELECT email FROM htx_user ORDER BY 1"),
        }
        listing = (
            "import boto3, hashlib, os\n"
            "c = boto3.client('s3')\n"
            "for b in ('datasets', 'feedback'):\n"
            "    for p in c.get_paginator('list_objects_v2').paginate(Bucket=b):\n"
            "        for o in p.get('Contents', ()):\n"
            "            d = hashlib.sha256(c.get_object(Bucket=b, Key=o['Key'])['Body'].read()).hexdigest()\n"
            "            print(b, o['Key'], d)"
        )
        found["objects"] = self._in_scheduler(listing)
        voices = (
            "import sqlite3, pathlib, hashlib\n"
            "for p in sorted(pathlib.Path('/var/lib/snap2caption/state/serving').rglob('*.sqlite')):\n"
            "    c = sqlite3.connect(f'file:{p}?mode=ro', uri=True)\n"
            "    print(p.name, hashlib.sha256('\\n'.join(c.iterdump()).encode()).hexdigest())"
        )
        found["voices"] = self.compose("exec", "-T", "serving", "python3", "-c", voices)
        return found


def prepared(folder: Path, project: str) -> Stack:
    """Allot ports to the stack in *folder*, and leave out the services whose images are neither here nor stood in for."""
    services = yaml.safe_load((folder / "docker-compose.yml").read_text())["services"]
    missing = [
        name for name in (*STAND_INS, *UNAVAILABLE) if not _is_here(services[name]["image"], STAND_INS.get(name))
    ]
    # How fast a machine is shall not decide whether a service is well.
    changed: dict[str, dict[str, Any]] = {
        name: {"healthcheck": {"start_period": f"{patience.LONGEST:.0f}s"}} for name in (*LONG_RUNNING, *ON_REQUEST)
    }
    # In a profile that nobody starts.
    changed |= {name: {"profiles": ["unavailable"]} for name in missing}
    (folder / "compose.test.yaml").write_text(json.dumps({"services": changed}))
    allotted = Ports(folder / "ports.json")
    ports = {name: allotted.get(name) for name in _PORTS}
    lines = [
        "COMPOSE_FILE=docker-compose.yml:compose.test.yaml",
        *(f"{name}_PORT={port}" for name, port in ports.items()),
        # Not the default, which a stack that runs already may have.
        "PROXY_SUBNET=10.231.98.0/29",
    ]
    (folder / ".env").write_text("\n".join([*lines, f"CPUS={os.cpu_count()}", "AIRFLOW_PARALLELISM=2", ""]))
    return Stack(folder, project, ports)


@contextmanager
def emptied(stack: Stack) -> Iterator[Stack]:
    """Remove the stack's containers and volumes, at the end and, as an earlier test may have been killed, before."""
    remove = partial(stack.compose, "--profile=*", "down", "--volumes", "--remove-orphans")
    remove()
    try:
        yield stack
    finally:
        remove()


def _is_here(image: str, stand_in: str | None) -> bool:
    """Whether Docker has the image, can pull it, or can build what stands in for it."""
    known = subprocess.run(["docker", "image", "inspect", image], capture_output=True)
    if (
        known.returncode == 0
        or subprocess.run(["docker", "pull", "--quiet", image], capture_output=True).returncode == 0
    ):
        return True
    if stand_in is None:
        return False
    folder = ROOT / "tests" / "support" / "stand_ins"
    command = ["docker", "build", "--quiet", "--target", stand_in, "--tag", image, folder]
    subprocess.run(command, env={**os.environ, "DOCKER_BUILDKIT": "1"}, check=True)
    return True


class _Files(SimpleHTTPRequestHandler):
    """Says nothing: aria2 opens more connections than it needs."""

    def handle(self) -> None:
        with suppress(ConnectionError):
            super().handle()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def corpus(folder: Path, stack: Stack, pairs: int) -> Iterator[str]:
    """Serve a small corpus, and yield its URL, as the containers of a running stack reach it."""
    command = (sys.executable, "-m", "snap2caption", "sample-corpus", f"--out={folder}/corpus.zip")
    subprocess.run([*command, f"--pairs={pairs}", "--seed=0"], check=True)
    network = f"{stack.project}_orchestration"
    gateway = stack.run("docker", "network", "inspect", network, "--format", "{{(index .IPAM.Config 0).Gateway}}")
    host, handler = gateway.stdout.strip(), partial(_Files, directory=folder)
    with answering(ThreadingHTTPServer((host, 0), handler)) as server:
        yield f"http://{host}:{server.server_port}/corpus.zip"


_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


@contextmanager
def measured_memory(stack: Stack) -> Iterator[None]:
    """Print at the end how much memory the containers needed at most, all at once and each."""
    most: dict[str, int] = {}
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(2):
            used = _memory(stack)
            used["all"] = sum(used.values())
            most.update({name: max(size, most.get(name, 0)) for name, size in used.items()})

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        for name, size in sorted(most.items(), key=lambda one: -one[1]):
            print(f"at most {size / 2**20:.0f} MiB: {name}")


def _memory(stack: Stack) -> dict[str, int]:
    """Bytes that each container of the stack has now. Docker does not count the page cache."""
    told = stack.run("docker", "stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}", check=False).stdout
    found = re.findall(rf"^{stack.project}-(\S+) ([\d.]+)([KMG]?i?B) /", told, re.MULTILINE)
    return {name: int(float(size) * _UNITS[unit]) for name, size, unit in found}
