"""The stack in containers, really run: from an empty machine to a caption, through kills, a wipe and a restore.

`make test-compose` runs it, against a Docker that has the images (`make up PROFILES=training` builds ours). Where no
registry can be reached, stand-ins are built under the tags of other people's images (tests/support/stand_ins). Each
test goes on from the one before it.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import patience
import pytest
import yaml
from chromium import chromium, patient
from server_thread import answering

from demo.airflow import AirflowClient
from demo.stack.ports import Ports
from demo.stack.services.airflow import AirflowAccess
from snap2caption.settings import ROOT

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(7200),
    pytest.mark.skipif("TEST_COMPOSE" not in os.environ, reason="needs Docker and the images; run `make test-compose`"),
]

PROJECT = "snap2caption-test"
PAIRS = 200
STAND_INS = {"postgres": "postgres", "prometheus": "prometheus"}
"""Targets of the stand-ins' Dockerfile, by the service whose image they stand for."""
MONITORING = ("prometheus", "alertmanager", "grafana", "statsd-exporter", "blackbox-exporter", "node-exporter")
LONG_RUNNING = (
    *("postgres", "seaweedfs", "mlflow", "airflow-apiserver", "airflow-scheduler", "airflow-dag-processor"),
    *("airflow-triggerer", "label-studio", "label-studio-webhook", "serving"),
)


@dataclass(frozen=True)
class Stack:
    """A copy of what `make up` needs, with ports and a project of its own."""

    folder: Path
    ports: dict[str, int]

    def run(self, *command: str | Path, fed: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, "COMPOSE_PROJECT_NAME": PROJECT, **self.key()},
            input=fed,
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

    def stage(self, service: str, argument: str) -> str:
        """Run a stage of the ETL by hand, and return what it prints."""
        return self.compose("run", "--rm", "-T", service, argument).splitlines()[-1]

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self.ports[service]}"

    def secret(self, name: str) -> str:
        return (self.folder / "secrets" / name).read_text().strip()

    def containers(self) -> dict[str, str]:
        """When each running container of each service was started."""
        ids = self.compose("ps", "--quiet").split()
        shown: list[dict[str, Any]] = json.loads(self.run("docker", "inspect", *ids).stdout)
        return {one["Config"]["Labels"]["com.docker.compose.service"]: one["State"]["StartedAt"] for one in shown}

    def health(self, service: str) -> str:
        (container,) = self.compose("ps", "--all", "--quiet", service).split()
        return self.run("docker", "inspect", "--format", "{{.State.Health.Status}}", container).stdout.strip()

    def caption(self) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, ROOT / "demo_request.py", ROOT / "sample.jpg", self.url("SERVING"), check=False)

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
        found["objects"] = self.compose("exec", "-T", "airflow-scheduler", "with-secrets", "python3", "-c", listing)
        voices = (
            "import sqlite3, pathlib, hashlib\n"
            "for p in sorted(pathlib.Path('/var/lib/snap2caption/state/serving').rglob('*.sqlite')):\n"
            "    c = sqlite3.connect(f'file:{p}?mode=ro', uri=True)\n"
            "    print(p.name, hashlib.sha256('\\n'.join(c.iterdump()).encode()).hexdigest())"
        )
        found["voices"] = self.compose("exec", "-T", "serving", "python3", "-c", voices)
        return found


def is_here(image: str, stand_in: str | None) -> bool:
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


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    for name in ("docker-compose.yml", "containers", "scripts", "monitoring"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name)
        elif (ROOT / name).exists():
            shutil.copy(ROOT / name, folder)
    services = yaml.safe_load((folder / "docker-compose.yml").read_text())["services"]
    missing = {name for name in ("postgres", *MONITORING) if not is_here(services[name]["image"], STAND_INS.get(name))}
    assert "postgres" not in missing
    # What is neither here nor stood in for is left out, in a profile that nobody starts.
    left_out = {name: {"profiles": ["unavailable"]} for name in missing}
    (folder / "compose.test.yaml").write_text(json.dumps({"services": left_out}))
    allotted = Ports(folder / "ports.json")
    names = ("SERVING", "FEEDBACK", "AIRFLOW", "LABEL_STUDIO", "MLFLOW", "PROMETHEUS", "ALERTMANAGER", "GRAFANA")
    ports = {name: allotted.get(name) for name in names}
    lines = [
        "COMPOSE_FILE=docker-compose.yml:compose.test.yaml",
        *(f"{name}_PORT={port}" for name, port in ports.items()),
    ]
    (folder / ".env").write_text("\n".join([*lines, f"CPUS={os.cpu_count()}", "AIRFLOW_PARALLELISM=2", ""]))
    stack = Stack(folder, ports)
    try:
        yield stack
    finally:
        stack.compose("--profile=*", "down", "--volumes", "--remove-orphans")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, stack: Stack) -> Iterator[str]:
    """The URL of a small corpus, as the containers reach it."""
    folder = tmp_path_factory.mktemp("corpus")
    command = (sys.executable, "-m", "snap2caption", "sample-corpus", f"--out={folder}/corpus.zip")
    subprocess.run([*command, f"--pairs={PAIRS}", "--seed=0"], check=True)
    network = f"{PROJECT}_orchestration"
    gateway = stack.run("docker", "network", "inspect", network, "--format", "{{(index .IPAM.Config 0).Gateway}}")
    host, handler = gateway.stdout.strip(), partial(SimpleHTTPRequestHandler, directory=folder)
    with answering(ThreadingHTTPServer((host, 0), handler)) as server:
        yield f"http://{host}:{server.server_port}/corpus.zip"


@pytest.fixture(scope="module")
def airflow(stack: Stack) -> Iterator[AirflowClient]:
    with AirflowClient(
        AirflowAccess(stack.url("AIRFLOW"), "admin", stack.secret("airflow_admin_password"), "")
    ) as client:
        yield client


def test_it_comes_up_from_nothing(stack: Stack) -> None:
    began = time.monotonic()
    told = stack.run("./scripts/stack-up").stdout
    print(f"up from nothing in {time.monotonic() - began:.0f} s")
    assert stack.containers().keys() >= {*LONG_RUNNING}
    assert {service: stack.health(service) for service in LONG_RUNNING} == dict.fromkeys(LONG_RUNNING, "healthy")
    for service in ("SERVING", "AIRFLOW", "LABEL_STUDIO", "MLFLOW"):
        assert stack.url(service) in told
    assert '<div id="root">' in httpx.get(f"{stack.url('SERVING')}/").text


def test_a_second_start_changes_nothing(stack: Stack) -> None:
    before, secrets = stack.containers(), stack.secret("s3.json")
    stack.run("./scripts/stack-up")
    assert stack.containers() == before
    assert stack.secret("s3.json") == secrets


def test_nobody_gets_in_without_a_login(stack: Stack) -> None:
    assert httpx.get(f"{stack.url('MLFLOW')}/api/2.0/mlflow/experiments/search?max_results=1").status_code == 401
    assert httpx.get(f"{stack.url('AIRFLOW')}/api/v2/dags").status_code == 401
    assert httpx.get(f"{stack.url('LABEL_STUDIO')}/api/projects").status_code == 401
    assert httpx.get(f"{stack.url('SERVING')}/metrics").status_code == 401
    photo = {"image": (ROOT / "sample.jpg").read_bytes()}
    assert httpx.post(f"{stack.url('SERVING')}/v1/generate-caption", files=photo).status_code == 401


def test_roles_see_their_own_database_alone(stack: Stack) -> None:
    password = stack.secret("label_studio_database_password")
    for database, opens in (("label_studio", True), ("airflow", False), ("mlflow", False)):
        url = f"postgresql://label_studio:{password}@127.0.0.1/{database}"
        done = stack.run("docker", "compose", "exec", "-T", "postgres", "psql", url, "-c", "SELECT 1", check=False)
        assert (done.returncode == 0) == opens, done.stderr


def test_a_corpus_becomes_a_model_in_service(stack: Stack, airflow: AirflowClient, corpus: str) -> None:
    assert "No model is in service yet" in stack.caption().stderr
    patience.until(lambda: airflow.knows("etl") and airflow.knows("training"))
    run = airflow.trigger("etl", {"urls": [corpus]})
    for _ in airflow.watch("etl", run, patience.LONGEST):
        pass
    # The dataset's event starts it.
    (training,) = patience.until(lambda: airflow.runs("training"))
    for _ in airflow.watch("training", training, 3 * patience.LONGEST):
        pass
    verdict = airflow.result("training", training, "gate")
    if not all(rule["passed"] for rule in verdict["rules"]):
        # So few photos teach it little; what is tested here is that the parts work together.
        promote = ("python3", "-m", "snap2caption", "promote", verdict["run_id"], "--force")
        stack.compose("exec", "-T", "airflow-scheduler", "with-secrets", *promote)
    done = patience.until(lambda: (done := stack.caption()).returncode == 0 and done, lambda: stack.caption().stderr)
    assert "#" in done.stdout


def test_the_page_captions_a_photo(stack: Stack) -> None:
    with chromium() as browser, patient(browser.new_context()) as context:
        page = context.new_page()
        page.goto(f"{stack.url('SERVING')}/#key={stack.secret('api_key')}")
        page.locator("input[type=file][multiple]").set_input_files(ROOT / "sample.jpg")
        page.get_by_role("button", name="Write my caption").click()
        page.get_by_role("button", name="Copy everything").wait_for()


def test_each_stage_runs_by_hand(stack: Stack, corpus: str) -> None:
    path = stack.stage("extract-data", corpus)
    version = stack.stage("transform-data", path)
    uri = stack.stage("load-data", version)
    assert uri == f"s3://datasets/versions/{version.rpartition('/')[2]}"
    plan = stack.compose("run", "--rm", "-T", "training", "train", "--config", "demo", f"data.uri={uri}", "--dry-run")
    assert uri in plan


def test_feedback_is_taken_without_a_model(stack: Stack) -> None:
    stack.compose("--profile=feedback", "up", "--detach", "--wait", "feedback")
    photo = {"image": ("photo.jpg", (ROOT / "sample.jpg").read_bytes(), "image/jpeg")}
    words = {"caption": "Fog, then the bridge.", "rating": "5"}
    key = {"X-API-Key": stack.secret("api_key")}
    answer = patience.post(f"{stack.url('FEEDBACK')}/v1/feedback", files=photo, data=words, headers=key)
    assert answer.status_code == 202, answer.text
    patience.until(lambda: stack.contents()["objects"].count("feedback records/") == 1)
    patience.delete(f"{stack.url('FEEDBACK')}/v1/feedback/{answer.json()['id']}", headers=key).raise_for_status()
    patience.until(lambda: "feedback records/" not in stack.contents()["objects"])
    stack.compose("--profile=feedback", "rm", "--stop", "--force", "feedback")


def test_feedback_reaches_the_store_and_label_studio(stack: Stack, airflow: AirflowClient) -> None:
    key = {"X-API-Key": stack.secret("api_key")}
    photo = {"image": ("photo.jpg", (ROOT / "sample.jpg").read_bytes(), "image/jpeg")}
    url = stack.url("SERVING")
    agreed = patience.post(f"{url}/v1/generate-caption", files=photo, data={"keep_for_feedback": "true"}, headers=key)
    assert agreed.is_success, agreed.text
    sent = {"request_id": agreed.json()["request_id"], "rating": 1, "edited_caption": "My own words"}
    answer = patience.post(f"{url}/v1/feedback", json=sent, headers=key)
    assert answer.is_success, answer.text
    patience.until(lambda: stack.contents()["objects"].count("feedback records/") == 1)
    run = airflow.trigger("feedback", {})
    for _ in airflow.watch("feedback", run, patience.LONGEST):
        pass
    assert stack.postgres("label_studio", "SELECT count(*) FROM task") == "1"


@pytest.mark.parametrize("service", LONG_RUNNING)
def test_it_recovers_from_a_kill(stack: Stack, service: str) -> None:
    before = stack.containers()[service]
    # Its first process is the container's own; SIGKILL to it is a crash, unlike `docker kill`, after which Docker
    # starts nothing again.
    (container,) = stack.compose("ps", "--quiet", service).split()
    pid = int(stack.run("docker", "inspect", "--format", "{{.State.Pid}}", container).stdout)
    os.kill(pid, 9)
    began = time.monotonic()
    patience.until(lambda: stack.containers().get(service, before) != before and stack.health(service) == "healthy")
    print(f"{service}: well {time.monotonic() - began:.0f} s after SIGKILL")
    if service in {"postgres", "seaweedfs", "mlflow", "serving"}:
        patience.until(lambda: stack.caption().returncode == 0, lambda: stack.caption().stderr)


def test_health_fails_with_what_it_checks(stack: Stack) -> None:
    stack.compose("stop", "postgres")
    for service in ("mlflow", "airflow-scheduler", "airflow-apiserver"):
        patience.until(partial(lambda name: stack.health(name) == "unhealthy", service))
    stack.compose("start", "postgres")
    for service in LONG_RUNNING:
        patience.until(partial(lambda name: stack.health(name) == "healthy", service))


def test_a_stop_keeps_the_data(stack: Stack) -> None:
    before = stack.contents()
    stack.run("./scripts/stack-down")
    assert stack.compose("ps", "--all", "--quiet") == ""
    stack.run("./scripts/stack-up")
    assert stack.contents() == before


def test_a_backup_brings_all_back_after_a_wipe(stack: Stack) -> None:
    patience.put(
        f"{stack.url('SERVING')}/v1/voice",
        json={"captions": ["Coffee first ☕", "Golden hour again"]},
        headers={"X-API-Key": stack.secret("api_key")},
    ).raise_for_status()
    before = stack.contents()
    stack.run("./scripts/stack-backup", "backup")
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (stack.folder / "backup").iterdir()}
    assert all(
        digest in (stack.folder / "backup" / "SHA256SUMS").read_text() for name, digest in files.items() if "." in name
    )
    stack.compose("--profile=*", "down", "--volumes")
    stack.run("./scripts/stack-up")
    assert stack.contents() != before
    stack.run("./scripts/stack-restore", "backup")
    assert stack.contents() == before
    patience.until(lambda: stack.caption().returncode == 0, lambda: stack.caption().stderr)


def test_a_damaged_backup_changes_nothing(stack: Stack) -> None:
    before = stack.containers()
    with (stack.folder / "backup" / "serving.tar").open("ab") as archive:
        archive.write(b"x")
    done = stack.run("./scripts/stack-restore", "backup", check=False)
    assert done.returncode == 1
    assert "nothing was changed" in done.stderr
    assert stack.containers() == before
