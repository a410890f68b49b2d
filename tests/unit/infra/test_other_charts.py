"""Values of others' charts: what Compose tells these services, as the charts of these versions take it.

The charts themselves can't be had here; each test names what was read in their templates.
"""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import postgres_server
import psycopg
import pytest
import yaml
from databases import new_database

from infra.validation.render import CHART, INFRA, Manifest
from snap2caption.settings import ROOT

pytestmark = pytest.mark.unit

Rendered = dict[str, list[Manifest]]
VALUES = {
    path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in (INFRA / "argocd" / "values").glob("*.yaml")
}
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
JOBS = {"scheduler": "SchedulerJob", "dagProcessor": "DagProcessorJob", "triggerer": "TriggererJob"}
SCRIPT = ROOT / "containers" / "bin" / "airflow-job-healthy"


def environment(service: str) -> dict[str, str]:
    """Return the variables of a service of Compose, without ``__FILE``."""
    return {name.removesuffix("__FILE"): str(value) for name, value in COMPOSE[service]["environment"].items()}


def test_airflow_is_told_what_compose_tells_it(rendered: Rendered) -> None:
    values = VALUES["airflow"]
    told = {
        f"AIRFLOW__{section}__{option}".upper(): value
        for section, options in values["config"].items()
        for option, value in options.items()
    }
    # The chart takes these from the Secret `airflow`.
    secret = {
        "AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__API__SECRET_KEY", "AIRFLOW__CORE__FERNET_KEY",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
    }  # fmt: skip
    different = {
        "AIRFLOW__API__BASE_URL",  # the chart's own port, by kubectl port-forward
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",  # the chart knows its Service
        "AIRFLOW__CORE__EXECUTOR",
        "AIRFLOW__CORE__PARALLELISM",  # tasks have machines of their own
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE",
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT",  # read by tasks
    }
    for name, value in environment("airflow-dag-processor").items():
        if name not in secret | different:
            assert told[name] == value, name
    (template,) = [m["data"] for m in rendered["staging"] if m["metadata"]["name"] == "pod-template"]
    (container,) = yaml.safe_load(template["pod_template_file.yaml"])["spec"]["containers"]
    name = "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT"
    assert {"name": name, "value": environment("airflow-scheduler")[name]} in container["env"]
    assert values["airflowVersion"] in (ROOT / "constraints.txt").read_text(encoding="utf-8")


def test_airflow_runs_nothing_of_its_own_image() -> None:
    """Its chart runs ``/entrypoint`` in probes and ``/clean-logs`` beside each part, where nothing else is named."""
    values = VALUES["airflow"]
    for part, job in JOBS.items():
        probes = [values[part].get(probe) for probe in ("livenessProbe", "startupProbe")]
        assert probes[0] == {"command": [SCRIPT.name, job]}, part
        # The chart has a probe of the start of the scheduler alone.
        assert probes[1] == (probes[0] if part == "scheduler" else None), part
        groomer = values[part]["logGroomerSidecar"]
        assert groomer.get("enabled", True) == (part == "scheduler")
    groomer = values["scheduler"]["logGroomerSidecar"]
    assert (groomer["command"][:2], groomer["args"]) == (["sh", "-c"], [])
    assert values["config"]["logging"]["base_log_folder"] in groomer["command"][2]


def test_old_logs_are_removed_and_new_ones_stay(tmp_path: Path) -> None:
    command = VALUES["airflow"]["scheduler"]["logGroomerSidecar"]["command"]
    once = command[2].replace("/opt/airflow/logs", str(tmp_path)).replace("sleep 3600", "exit")
    for name, days in {"dag/old.log": 40, "dag/new.log": 20}.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
        at = path.stat().st_mtime - days * 86400
        os.utime(path, (at, at))
    environment = {**os.environ, "AIRFLOW__LOG_RETENTION_DAYS": "30"}
    subprocess.run([*command[:2], once], check=True, timeout=60, env=environment)
    assert [path.name for path in tmp_path.rglob("*.log")] == ["new.log"]


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of a database with Airflow's table of jobs, as far as the check reads it."""
    with postgres_server.run(tmp_path_factory.mktemp("postgresql")) as server, new_database(server) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE job (job_type text, hostname text, state text, latest_heartbeat timestamptz)"
            )
        yield url


@pytest.mark.parametrize(
    ("host", "state", "seconds", "alive"),
    [
        (socket.gethostname(), "running", 5, True),
        (socket.gethostname(), "running", 600, False),
        (socket.gethostname(), "success", 5, False),
        ("another", "running", 5, False),
    ],
    ids=["alive", "silent", "ended", "another's"],
)
def test_a_part_of_airflow_is_alive_while_its_heart_beats(
    jobs: str, host: str, state: str, seconds: int, alive: bool
) -> None:
    with psycopg.connect(jobs, autocommit=True) as connection:
        connection.execute("DELETE FROM job")
        connection.execute(
            "INSERT INTO job VALUES ('SchedulerJob', %s, %s, now() - make_interval(secs => %s))", (host, state, seconds)
        )
    # As Airflow's chart hands it over.
    given = jobs.replace("postgresql://", "postgresql+psycopg2://")
    environment = {**os.environ, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": given}
    done = subprocess.run(
        [sys.executable, SCRIPT, "SchedulerJob"], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) == alive, done.stderr
    assert alive or "no heartbeat" in done.stderr


def test_mlflow_is_where_its_clients_look_for_it() -> None:
    values, chart = VALUES["mlflow"], yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    port = int(chart["addresses"]["mlflow"].rpartition(":")[2])
    # The chart's Service has port 80 otherwise.
    assert values["service"]["port"] == port
    assert chart["network"]["peers"]["mlflow"]["ports"] == [port]
    assert f"mlflow:{port}" in values["extraArgs"]["allowedHosts"]
    (ray,) = [m for m in yaml.safe_load_all((INFRA / "ray" / "training.yaml").read_text()) if m["kind"] == "RayJob"]
    assert f"http://mlflow:{port}" in str(ray)


def test_mlflow_has_each_volume_once() -> None:
    """Since 1.10.0, its chart brings a volume ``tmp`` itself; an API server refuses a second one of that name."""
    values = VALUES["mlflow"]
    assert "tmp" not in {volume["name"] for volume in values["extraVolumes"]}
    assert {mount["mountPath"] for mount in values["extraVolumeMounts"]} == {"/run/secrets"}


def test_no_chart_makes_a_new_key_at_each_rendering(rendered: Rendered) -> None:
    """Argo CD can't look up what is there, so that a random value would differ, and be applied, again and again."""
    label_studio, mlflow = VALUES["label-studio"]["global"], VALUES["mlflow"]
    assert label_studio["extraEnvironmentSecrets"]["SECRET_KEY"]["secretName"] == "label-studio"
    assert mlflow["flaskServerSecretKey"]
    # The real one is in a Secret that comes after the chart's own.
    assert mlflow["extraSecretNamesForEnvFrom"] == ["mlflow"]
    assert "MLFLOW_FLASK_SERVER_SECRET_KEY" in secrets(rendered["production"])["mlflow"]
    airflow = VALUES["airflow"]
    for name in ("fernetKeySecretName", "apiSecretKeySecretName", "jwtSecretName"):
        assert airflow[name] == "airflow"
    assert VALUES["seaweedfs"]["s3"]["existingConfigSecret"] == "seaweedfs"


def test_label_studio_is_told_what_compose_tells_it() -> None:
    values = VALUES["label-studio"]["global"]
    named = values["extraEnvironmentVars"].keys() | values["extraEnvironmentSecrets"].keys()
    told = {name.removeprefix("LABEL_STUDIO_") for name in named}
    # By values of the chart; the region and the store's address by the variable above; no debugging.
    others = {
        "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "DEBUG", "DJANGO_DB", "POSTGRE_HOST", "POSTGRE_NAME",
        "POSTGRE_PASSWORD", "POSTGRE_PORT", "POSTGRE_USER",
    }  # fmt: skip
    wanted = {name.removeprefix("LABEL_STUDIO_") for name in environment("label-studio")}
    assert wanted - others <= told
    # There, an option of the command says so.
    assert "--enable-legacy-api-token" in COMPOSE["label-studio"]["command"]
    assert values["extraEnvironmentVars"]["LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN"] == "true"
    assert (
        values["extraEnvironmentVars"]["LABEL_STUDIO_USERNAME"] == environment("label-studio")["LABEL_STUDIO_USERNAME"]
    )


@pytest.mark.parametrize("name", ["staging", "canary", "production"])
def test_label_studio_knows_where_annotators_come_in(rendered: Rendered, name: str) -> None:
    given = VALUES["label-studio"]["global"]["extraEnvironmentSecrets"]
    (secret,) = [m for m in rendered[name] if m["kind"] == "Secret"]
    for variable in ("CSRF_TRUSTED_ORIGINS", "LABEL_STUDIO_HOST"):
        assert given[variable] == {"secretName": secret["metadata"]["name"], "secretKey": "address"}
    (route,) = [m for m in rendered[name] if m["kind"] == "HTTPRoute" and m["metadata"]["name"] == "label-studio"]
    address = subprocess.run(
        ["base64", "-d"], input=secret["data"]["address"].encode(), capture_output=True, check=True
    )
    assert address.stdout.decode() == f"https://{route['spec']['hostnames'][0]}"


@pytest.mark.parametrize("chart", ["label-studio", "mlflow"])
def test_secrets_that_charts_read_are_made(rendered: Rendered, chart: str) -> None:
    made = secrets(rendered["production"])
    for name, key in re.findall(r"'secretName': '([a-z-]+)', 'secretKey': '(\w+)'", str(VALUES[chart])):
        assert key in made[name], (name, key)


def secrets(manifests: list[Manifest]) -> dict[str, set[str]]:
    """Return the keys of each Secret that our chart makes, or has the External Secrets operator make."""
    made = {m["metadata"]["name"]: {*m["data"]} for m in manifests if m["kind"] == "Secret"}
    return made | {
        m["spec"]["target"]["name"]: {*m["spec"]["target"]["template"]["data"]}
        for m in manifests
        if m["kind"] == "ExternalSecret"
    }
