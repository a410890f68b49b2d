"""The Compose files, as far as they can be checked without Docker."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from compose_stack import LONG_RUNNING, ON_REQUEST, UNAVAILABLE

from snap2caption.settings import ROOT
from supply_chain.images import OURS, listed

pytestmark = pytest.mark.unit

BIN = Path(sys.executable).parent
FILES = ("docker-compose.yml", "compose.gpu.yaml")
ONE_SHOTS = {"setup", "extract-data", "transform-data", "load-data", "training"}
"""Services that end by themselves, so that nothing has to ask after their health."""
INTERNAL = {"database", "proxied", "store"}
"""Networks without a way out."""
NAMED = {
    *("postgres", "seaweedfs", "setup", "mlflow", "label-studio", "label-studio-webhook", "serving", "feedback"),
    *("airflow-apiserver", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"),
    *("extract-data", "transform-data", "load-data", "training", "proxy"),
    *("prometheus", "alertmanager", "grafana", "statsd-exporter", "blackbox-exporter", "node-exporter"),
}


def configured(*files: str) -> dict[str, Any]:
    """The stack as Docker Compose understands it, with all profiles and without anybody's .env."""
    chosen = [f"--file={ROOT / file}" for file in files]
    done = subprocess.run(
        [BIN / "docker-compose", "--env-file=/dev/null", *chosen, "--profile=*", "config", "--format=json"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


STACK = configured("docker-compose.yml")
SERVICES: dict[str, dict[str, Any]] = STACK["services"]
each_service = pytest.mark.parametrize("name", SERVICES)


def test_all_services_are_there() -> None:
    assert SERVICES.keys() >= NAMED
    assert {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service} == {
        "feedback": ["feedback"],
        "proxy": ["proxy"],
        "training": ["training"],
        **{key: ["etl"] for key in ("extract-data", "transform-data", "load-data")},
    }


def test_gpus_are_added_by_a_file_of_their_own() -> None:
    services = configured(*FILES)["services"]
    for name in ("airflow-scheduler", "serving", "training"):
        resources = services[name]["deploy"]["resources"]
        assert resources["reservations"]["devices"][0]["capabilities"] == ["gpu"]
        assert resources["limits"] == SERVICES[name]["deploy"]["resources"]["limits"]
    exporter = services["dcgm-exporter"]
    assert exporter["image"] in {str(known) for known in listed(ROOT)}
    assert exporter["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"] == ["gpu"]
    assert exporter["networks"].keys() == {"monitoring"}
    assert "/etc/prometheus/targets/gpu.yml" in {volume["target"] for volume in services["prometheus"]["volumes"]}
    assert "capabilities: [gpu]" not in (ROOT / "docker-compose.yml").read_text()


def test_they_are_what_the_specification_says() -> None:
    files = [ROOT / file for file in FILES]
    schema = "--builtin-schema=vendor.compose-spec"
    for command in ([BIN / "check-jsonschema", schema, *files], [BIN / "yamllint", "--strict", *files]):
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0, done.stdout + done.stderr


@each_service
def test_it_has_no_rights_and_a_root_that_nobody_writes(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "proxy" else [])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.keys() & {"privileged", "pid", "ipc", "network_mode", "devices"}
    assert "docker.sock" not in json.dumps(service)


@each_service
def test_its_resources_and_logs_are_bounded(name: str) -> None:
    service = SERVICES[name]
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}


@each_service
def test_it_restarts_and_tells_its_health_unless_it_ends(name: str) -> None:
    service = SERVICES[name]
    if name in ONE_SHOTS:
        assert service["restart"] == "no"
        return
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] == "CMD"


def test_all_health_checks_are_tested_but_the_unavailable() -> None:
    assert SERVICES.keys() - ONE_SHOTS == {*LONG_RUNNING, *ON_REQUEST, *UNAVAILABLE}


@each_service
def test_its_ports_are_open_to_this_machine_only(name: str) -> None:
    assert all(port["host_ip"] == "127.0.0.1" for port in SERVICES[name].get("ports", []))


@each_service
def test_a_published_port_is_on_an_open_network(name: str) -> None:
    service = SERVICES[name]
    assert "default" not in service["networks"]
    if "ports" in service:
        assert service["networks"].keys() - INTERNAL


def test_databases_and_store_have_no_way_out() -> None:
    assert {name for name, network in STACK["networks"].items() if network.get("internal")} == INTERNAL
    assert SERVICES["postgres"]["networks"].keys() == {"database"}
    assert SERVICES["seaweedfs"]["networks"].keys() == {"store"}
    # What creators reach has no way to the databases.
    assert not SERVICES["serving"]["networks"].keys() & {"database", "orchestration", "annotation"}


def test_only_the_proxy_is_believed_about_clients() -> None:
    believed = SERVICES["serving"]["environment"]["FORWARDED_ALLOW_IPS"]
    assert believed == STACK["networks"]["proxied"]["ipam"]["config"][0]["subnet"]
    assert {name for name, one in SERVICES.items() if "proxied" in one["networks"]} == {"proxy", "serving"}
    (alias,) = SERVICES["serving"]["networks"]["proxied"]["aliases"]
    assert f"reverse_proxy {alias}:8000 " in (ROOT / "containers" / "Caddyfile").read_text()


@each_service
def test_its_image_is_ours_or_listed(name: str) -> None:
    image = SERVICES[name]["image"]
    assert image.startswith(OURS) or image in {str(known) for known in listed(ROOT)}


@each_service
def test_no_secret_is_in_its_environment(name: str) -> None:
    for variable, value in SERVICES[name].get("environment", {}).items():
        if re.search(r"PASSWORD|SECRET|TOKEN|_KEY|DATABASE_URL|SQL_ALCHEMY_CONN|STORE_URI", variable):
            assert value.startswith("/run/secrets/") or variable.endswith("PASSWORDS_FILE"), variable


@each_service
def test_it_gets_the_secrets_that_it_reads_and_no_others(name: str) -> None:
    service = SERVICES[name]
    given = {secret["source"] for secret in service.get("secrets", [])}
    texts = [json.dumps(service)]
    if name.startswith("airflow"):
        texts.append((ROOT / "containers" / "bin" / "airflow-job-healthy").read_text())
    read = {secret for text in texts for secret in re.findall(r"/run/secrets/([\w.]+)", text)}
    assert read <= given
    # The set-up reads more by name, and Airflow's common environment names the database's for all of it.
    if name in {"prometheus", "alertmanager"}:
        texts = [path.read_text() for path in (ROOT / "monitoring" / name).glob("*.yml")]
        read |= {secret for text in texts for secret in re.findall(r"/run/secrets/([\w.]+)", text)}
    if name == "mlflow":
        read |= {f"mlflow_{account}_password" for account in ("admin", "trainer", "serving")}
    assert given == read or name == "setup"


def test_label_studio_takes_the_webhooks_address() -> None:
    """It refuses one whose host has no dot, such as the bare name of a service."""
    host = urlsplit(SERVICES["airflow-scheduler"]["environment"]["SNAP2CAPTION_LABEL_STUDIO_WEBHOOK_URL"]).hostname
    assert host
    assert "." in host
    assert host in SERVICES["label-studio-webhook"]["networks"]["annotation"]["aliases"]


def test_what_is_watched_is_reached() -> None:
    """A target of Prometheus, or of a probe, is on a network with whoever asks it."""
    text = (ROOT / "monitoring" / "prometheus" / "prometheus.yml").read_text()
    for job in yaml.safe_load(text)["scrape_configs"]:
        asks = "blackbox-exporter" if job["job_name"] == "probe" else "prometheus"
        for target in (target for config in job.get("static_configs", []) for target in config["targets"]):
            host = re.sub(r"^\w+://", "", target).partition(":")[0]
            assert host == "localhost" or SERVICES[asks]["networks"].keys() & SERVICES[host]["networks"].keys(), target


@each_service
def test_what_it_mounts_from_here_exists_and_is_read_only(name: str) -> None:
    for mount in SERVICES[name].get("volumes", []):
        if mount["type"] == "bind":
            assert mount["read_only"]
            assert Path(mount["source"]).exists()


def test_each_secret_is_made(tmp_path: Path) -> None:
    made = make_secrets(tmp_path)
    assert {secret["file"] for secret in STACK["secrets"].values()} <= {str(ROOT / "secrets" / name) for name in made}


def make_secrets(folder: Path) -> dict[str, str]:
    subprocess.run([ROOT / "scripts" / "stack-secrets"], cwd=folder, check=True, timeout=60)
    return {path.name: path.read_text() for path in (folder / "secrets").iterdir()}


def test_secrets_are_made_once_and_differ_everywhere(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    one, other = make_secrets(tmp_path / "one"), make_secrets(tmp_path / "other")
    (tmp_path / "one" / ".env").write_text("SERVING_PORT=1\n")
    assert make_secrets(tmp_path / "one") == one
    assert (tmp_path / "one" / ".env").read_text() == "SERVING_PORT=1\n"
    assert {name for name in one if one[name] == other[name]} == {"alert_webhook_url"}
    folder = tmp_path / "one" / "secrets"
    assert folder.stat().st_mode & 0o777 == 0o700
    # Containers' users are others than the one who made them.
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o444}


def test_a_lost_secret_is_made_anew_with_what_is_made_of_it(tmp_path: Path) -> None:
    before = make_secrets(tmp_path)
    (tmp_path / "secrets" / "mlflow_database_password").unlink()
    after = make_secrets(tmp_path)
    assert {name for name in before if before[name] != after[name]} == {
        *("mlflow_database_password", "mlflow_database_url"),
        *("mlflow_accounts_database_url", "mlflow_accounts.ini"),
    }


def test_each_client_of_the_store_may_do_what_it_needs(tmp_path: Path) -> None:
    identities = json.loads(make_secrets(tmp_path)["s3.json"])["identities"]
    actions = {identity["name"]: set(identity["actions"]) for identity in identities}
    assert "Admin" in actions.pop("setup")
    assert not any(action in {"Admin", "Read", "Write", "List"} for granted in actions.values() for action in granted)
    assert actions["label_studio"] == {"Read:feedback/photos/*", "List:feedback/photos/*"}
    assert "Write:datasets" not in actions["serving"]
    assert all(action.endswith(":mlflow") for action in actions["mlflow"])


def test_settings_and_secrets_are_not_committed() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {"/.env", "/secrets/", "/backups/"} <= set(ignored)
    done = subprocess.run(["git", "ls-files", ".env", "secrets"], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == ""


def test_ports_of_env_are_those_of_the_stack(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    written = set(re.findall(r"^(\w+_PORT)=", (tmp_path / ".env").read_text(), re.MULTILINE))
    used = set(re.findall(r"\$\{(\w+_PORT):-", (ROOT / "docker-compose.yml").read_text()))
    assert used <= written


def test_volumes_of_the_backup_exist() -> None:
    script = (ROOT / "scripts" / "stack-backup").read_text()
    volumes = re.search(r'^volumes="(.*)"$', script, re.MULTILINE)
    assert volumes is not None
    assert {*volumes[1].split()} <= STACK["volumes"].keys()
    assert yaml.safe_load((ROOT / "docker-compose.yml").read_text())["name"] == "snap2caption"


def test_a_deletion_is_asked_for() -> None:
    done = subprocess.run(
        [ROOT / "scripts" / "stack-down"],
        env={"VOLUMES": "1", "PATH": "/nowhere"},
        input="yes\n",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "Nothing was deleted." in done.stderr
