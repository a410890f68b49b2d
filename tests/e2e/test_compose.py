"""The stack in containers, really run: from an empty machine to a caption, through kills, a wipe and a restore.

`make test-compose` runs it, against a Docker that has the images (`make up PROFILES=training` builds ours). Where no
registry can be reached, stand-ins are built under the tags of other people's images (tests/support/stand_ins). Each
test goes on from the one before it.
"""

import hashlib
import json
import os
import shutil
import ssl
import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import compose_stack
import httpx
import patience
import pytest
from chromium import chromium, patient
from compose_stack import LONG_RUNNING, ON_REQUEST, Stack

from snap2caption.settings import ROOT

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(7200),
    pytest.mark.skipif("TEST_COMPOSE" not in os.environ, reason="needs Docker and the images; run `make test-compose`"),
]

PAIRS = 200
JOBS = {"airflow": "statsd-exporter", "grafana": "grafana"}
"""Prometheus's jobs, by name, of the services that nothing stands in for."""
NEED_POSTGRES = (
    *("mlflow", "airflow-apiserver", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"),
    "label-studio",
)
"""Services whose health includes the database's."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    for name in ("docker-compose.yml", "containers", "scripts", "monitoring"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name)
        else:
            shutil.copy(ROOT / name, folder)
    prepared = compose_stack.prepared(folder, "snap2caption-test")
    with compose_stack.emptied(prepared) as stack, compose_stack.measured_memory(stack):
        yield stack


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, stack: Stack) -> Iterator[str]:
    """The URL of a small corpus, as the containers reach it."""
    with compose_stack.corpus(tmp_path_factory.mktemp("corpus"), stack, PAIRS) as url:
        yield url


def test_it_comes_up_from_nothing(stack: Stack) -> None:
    began = time.monotonic()
    told = stack.run("./scripts/stack-up").stdout
    print(f"up from nothing in {time.monotonic() - began:.0f} s")
    assert stack.containers().keys() >= {*LONG_RUNNING}
    assert {service: stack.health(service) for service in LONG_RUNNING} == dict.fromkeys(LONG_RUNNING, "healthy")
    for service in ("SERVING", "AIRFLOW", "LABEL_STUDIO", "MLFLOW", "PROMETHEUS", "ALERTMANAGER"):
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


def test_a_corpus_becomes_a_model_in_service(stack: Stack, corpus: str) -> None:
    assert "No model is in service yet" in stack.caption().stderr
    stack.train(corpus)
    assert "#" in stack.caption().stdout


def test_each_stage_and_a_training_run_by_hand(stack: Stack, corpus: str) -> None:
    path = stack.by_hand("extract-data", corpus)
    version = stack.by_hand("transform-data", path)
    uri = stack.by_hand("load-data", version)
    assert uri == f"s3://datasets/versions/{version.rpartition('/')[2]}"
    began = time.monotonic()
    # With the DAG's seed, it would be the DAG's training, which is done.
    run = stack.by_hand("training", "train", "--config", "demo", f"data.uri={uri}", "training.seed=1")
    print(f"trained by hand in {time.monotonic() - began:.0f} s")
    assert f"{run}|FINISHED" in stack.postgres("mlflow", "SELECT run_uuid, status FROM runs").splitlines()
    before = stack.served()
    stack.by_hand("training", "promote", run, "--force")
    versions = stack.postgres("mlflow", "SELECT run_id, version FROM model_versions").splitlines()
    version = dict(line.split("|") for line in versions)[run]
    patience.until(lambda: stack.served() == f"snap2caption/{version}", stack.served)
    assert stack.served() != before


def test_a_request_is_followed_from_the_page_to_the_store(stack: Stack) -> None:
    with chromium() as browser, patient(browser.new_context()) as context:
        page = context.new_page()
        page.goto(f"{stack.url('SERVING')}/#key={stack.secret('api_key')}")
        page.goto(f"{stack.url('SERVING')}/#/about")
        page.get_by_role("group", name="May your first photo").get_by_label("Yes").check()
        page.goto(f"{stack.url('SERVING')}/#/")
        page.locator("input[type=file][multiple]").set_input_files(ROOT / "sample.jpg")
        with page.expect_response("**/v1/generate-caption") as answered:
            page.get_by_role("button", name="Write my caption").click()
        page.get_by_role("button", name="Copy everything").wait_for()
        page.get_by_label("4 stars").check()
        page.get_by_role("button", name="Send my rating").click()
        page.get_by_text("Sent. Thank you!").wait_for()
        request = answered.value.headers["x-request-id"]
    lines = map(json.loads, stack.compose("logs", "--no-log-prefix", "serving").splitlines())
    (line,) = (line for line in lines if line.get("request_id") == request and line.get("path"))
    assert (line["path"], line["status"]) == ("/v1/generate-caption", 200)
    (record,) = patience.until(lambda: [known for known in stack.records() if known["request_id"] == request])
    assert record["rating"] == 4
    key = {"X-API-Key": stack.secret("api_key")}
    patience.delete(f"{stack.url('SERVING')}/v1/feedback", headers=key).raise_for_status()
    patience.until(lambda: stack.records() == [])


def test_feedback_is_taken_without_a_model(stack: Stack) -> None:
    stack.compose("--profile=feedback", "up", "--detach", "--wait", "feedback")
    photo = {"image": ("photo.jpg", (ROOT / "sample.jpg").read_bytes(), "image/jpeg")}
    words = {"caption": "Fog, then the bridge.", "rating": "5"}
    key = {"X-API-Key": stack.secret("api_key")}
    answer = patience.post(f"{stack.url('FEEDBACK')}/v1/feedback", files=photo, data=words, headers=key)
    assert answer.status_code == 202, answer.text
    patience.until(lambda: len(stack.records()) == 1)
    patience.delete(f"{stack.url('FEEDBACK')}/v1/feedback/{answer.json()['id']}", headers=key).raise_for_status()
    patience.until(lambda: stack.records() == [])


def test_feedback_reaches_the_store_and_label_studio(stack: Stack) -> None:
    request = stack.correct_a_caption()
    (record,) = patience.until(stack.records)
    assert record["request_id"] == request
    with stack.airflow() as airflow:
        run = airflow.trigger("feedback", {})
        for _ in airflow.watch("feedback", run, patience.LONGEST):
            pass
    assert stack.postgres("label_studio", "SELECT count(*) FROM task") == "1"


def test_the_proxy_captions_over_tls(stack: Stack, tmp_path: Path) -> None:
    stack.compose("--profile=proxy", "up", "--detach", "--wait", "proxy")
    authority = tmp_path / "authority.pem"
    authority.write_text(
        stack.compose("--profile=proxy", "exec", "-T", "proxy", "cat", "/data/caddy/pki/authorities/local/root.crt")
    )
    url = f"https://localhost:{stack.ports['PROXY_HTTPS']}"
    assert "#" in stack.caption(url, SSL_CERT_FILE=str(authority)).stdout
    # Nobody else's word is taken for who it is.
    assert "CERTIFICATE_VERIFY_FAILED" in stack.caption(url, SSL_CERT_FILE="/dev/null").stderr
    with httpx.Client(verify=ssl.create_default_context(cafile=authority), trust_env=False) as client:
        assert '<div id="root">' in client.get(f"{url}/").text
        assert client.get(f"{url}/metrics").status_code == 403
        assert client.get(f"{url}/healthz").headers["via"]
    plain = httpx.get(f"http://localhost:{stack.ports['PROXY_HTTP']}/v1/voice")
    assert (plain.status_code, plain.headers["location"]) == (308, "https://localhost/v1/voice")


def test_the_proxy_tells_clients_apart(stack: Stack) -> None:
    def is_locked_out(url: str, **headers: str) -> bool:
        sent = {"X-API-Key": "wrong", **headers}
        status = httpx.get(url, headers=sent, timeout=patience.LONGEST, verify=False).status_code  # noqa: S501
        assert status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS}
        return status == HTTPStatus.TOO_MANY_REQUESTS

    stack.compose("--profile=proxy", "up", "--detach", "--wait", "proxy")
    # More than the wrong keys of one minute, as a minute may end meanwhile.
    tries = 100
    proxied = f"https://localhost:{stack.ports['PROXY_HTTPS']}/v1/voice"
    assert any(is_locked_out(proxied) for _ in range(tries))
    # The proxy's container is another client.
    asked = "wget --no-check-certificate --header='X-API-Key: wrong' -O- https://localhost/v1/voice 2>&1"
    told = stack.compose("--profile=proxy", "exec", "-T", "proxy", "sh", "-c", f"{asked} || true")
    assert "401 Unauthorized" in told, told
    # Whoever is not the proxy is not believed.
    direct = f"{stack.url('SERVING')}/v1/voice"
    assert any(is_locked_out(direct, **{"X-Forwarded-For": f"203.0.113.{number}"}) for number in range(tries))


def test_prometheus_sees_every_service(stack: Stack) -> None:
    # Grafana and Airflow's exporter run only where their images can be pulled.
    unseen = {job for job, service in JOBS.items() if service not in stack.containers()}
    query = {"query": "up == 0 or probe_success == 0"}

    def down() -> set[str]:
        answer = patience.get(f"{stack.url('PROMETHEUS')}/api/v1/query", params=query).json()
        return {one["metric"].get("service", one["metric"]["job"]) for one in answer["data"]["result"]}

    patience.until(lambda: down() == unseen, down)
    told = patience.get(f"{stack.url('ALERTMANAGER')}/api/v2/alerts").json()
    assert "Watchdog" in {alert["labels"]["alertname"] for alert in told}


@pytest.mark.parametrize("service", [*LONG_RUNNING, *ON_REQUEST])
def test_it_recovers_from_a_kill(stack: Stack, service: str) -> None:
    before = stack.containers()[service]
    # Its first process is the container's own; SIGKILL to it is a crash, unlike `docker kill`, after which Docker
    # starts nothing again.
    pid = int(stack.run("docker", "inspect", "--format", "{{.State.Pid}}", stack.container(service)).stdout)
    os.kill(pid, 9)
    began = time.monotonic()
    patience.until(lambda: stack.containers().get(service, before) != before and stack.health(service) == "healthy")
    print(f"{service}: well {time.monotonic() - began:.0f} s after SIGKILL")
    if service in {"postgres", "seaweedfs", "mlflow", "serving"}:
        stack.captions()


def test_health_fails_while_a_service_hangs(stack: Stack) -> None:
    services = [service for service in (*LONG_RUNNING, *ON_REQUEST) if service != "postgres"]
    began = time.monotonic()
    with stack.frozen(*services):
        stack.wait_for_health("unhealthy", *services)
        # So none of them fails for its sake.
        assert stack.health("postgres") == "healthy"
    print(f"all unhealthy {time.monotonic() - began:.0f} s after they hung")
    stack.wait_for_health("healthy", *services)
    stack.captions()


def test_health_fails_while_the_database_hangs(stack: Stack) -> None:
    with stack.frozen("postgres"):
        stack.wait_for_health("unhealthy", "postgres", *NEED_POSTGRES)
        others = [service for service in (*LONG_RUNNING, *ON_REQUEST) if service not in {"postgres", *NEED_POSTGRES}]
        assert {service: stack.health(service) for service in others} == dict.fromkeys(others, "healthy")
    stack.wait_for_health("healthy", "postgres", *NEED_POSTGRES)
    stack.captions()


def test_a_stop_keeps_the_data(stack: Stack) -> None:
    before = stack.contents()
    stack.run("./scripts/stack-down")
    assert stack.compose("ps", "--all", "--quiet") == ""
    stack.run("./scripts/stack-up")
    assert stack.contents() == before


def test_volumes_of_another_stack_are_told(stack: Stack) -> None:
    before = stack.contents()
    stack.run("./scripts/stack-down")
    password = stack.folder / "secrets" / "postgres_password"
    kept = password.rename(stack.folder / "postgres_password")
    done = stack.run("./scripts/stack-up", check=False)
    assert done.returncode == 1
    assert "error: The volumes are from a stack with other secrets" in done.stderr
    kept.replace(password)
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
    stack.captions()


def test_a_damaged_backup_changes_nothing(stack: Stack) -> None:
    before = stack.containers()
    with (stack.folder / "backup" / "serving.tar").open("ab") as archive:
        archive.write(b"x")
    done = stack.run("./scripts/stack-restore", "backup", check=False)
    assert done.returncode == 1
    assert "nothing was changed" in done.stderr
    assert stack.containers() == before
