"""Invariants of the rendered chart: images, security, probes, limits, selectors, draining, secrets, settings."""

import json
import os
import re
import subprocess
from typing import Any

import pytest
import yaml
from manifests import NAMES, Rendered, each_pod, named, of_kind, service

from infra.validation.render import CHART, ENVIRONMENTS, INFRA, Manifest, pods, read, render
from serving.settings import ServingSettings
from snap2caption.settings import ROOT, Settings

pytestmark = pytest.mark.unit


def test_there_is_a_pod_of_each_part(rendered: Rendered) -> None:
    for name in ENVIRONMENTS:
        assert {pod for pod, _ in each_pod(rendered[name])} == {
            "serving",
            "label-studio-webhook",
            "mlflow-accounts",
            "smoke",
            "statsd-exporter",
            "task",
        }
    assert "vllm" in {pod for pod, _ in each_pod(rendered["vllm"])}


@pytest.mark.parametrize("name", [*NAMES, "ray"])
def test_pods_meet_the_restricted_security_standard(rendered: Rendered, name: str) -> None:
    manifests = read(INFRA / "ray") if name == "ray" else rendered[name]
    for pod, spec in each_pod(manifests):
        assert spec["automountServiceAccountToken"] is False, pod
        assert spec["serviceAccountName"] == "snap2caption", pod
        security = spec["securityContext"]
        assert (security["runAsNonRoot"], security["runAsUser"]) == (True, 10001), pod
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, pod
        for volume in spec.get("volumes", []):
            (kind,) = volume.keys() - {"name"}
            assert kind in {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}, pod
            assert kind != "emptyDir" or "sizeLimit" in volume["emptyDir"], pod
        for container in spec["containers"]:
            rights = container["securityContext"]
            assert rights == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
                "runAsNonRoot": True,
            }, pod
            for bound in ("requests", "limits"):
                assert {"cpu", "memory"} <= container["resources"][bound].keys(), pod


@pytest.mark.parametrize("name", [*NAMES, "ray"])
def test_images_have_versions(rendered: Rendered, name: str) -> None:
    manifests = read(INFRA / "ray") if name == "ray" else rendered[name]
    images = {container["image"] for _, spec in each_pod(manifests) for container in spec["containers"]}
    images |= {cluster["spec"]["imageName"] for cluster in of_kind(manifests, "Cluster")}
    for image in images:
        assert re.search(r":v?[0-9]+\.[0-9]+[^:]*$", image), image


@pytest.mark.parametrize("name", NAMES)
def test_services_and_budgets_select_the_pods_of_one_workload(rendered: Rendered, name: str) -> None:
    workloads = of_kind(rendered[name], "Deployment", "Rollout")

    def selected(selector: dict[str, str]) -> list[Manifest]:
        labels = [workload["spec"]["template"]["metadata"]["labels"] for workload in workloads]
        return [w for w, label in zip(workloads, labels, strict=True) if selector.items() <= label.items()]

    for workload in workloads:
        assert selected(workload["spec"]["selector"]["matchLabels"]) == [workload]
    for each in of_kind(rendered[name], "Service"):
        (workload,) = selected(each["spec"]["selector"])
        ports = {p["name"]: p["containerPort"] for p in workload["spec"]["template"]["spec"]["containers"][0]["ports"]}
        assert {port["name"]: port["port"] for port in each["spec"]["ports"]} == ports
        assert all(port["targetPort"] == port["name"] for port in each["spec"]["ports"])
    budgets = of_kind(rendered[name], "PodDisruptionBudget")
    assert {b["metadata"]["name"] for b in budgets} == {"serving", "label-studio-webhook"}
    for budget in budgets:
        assert len(selected(budget["spec"]["selector"]["matchLabels"])) == 1
    monitor = named(rendered[name], "serving", "ServiceMonitor")["spec"]
    metadata = named(rendered[name], "serving", "Service")["metadata"]
    assert monitor["selector"]["matchLabels"].items() <= metadata["labels"].items()


@pytest.mark.parametrize("name", NAMES)
def test_probes_are_those_of_the_docs(rendered: Rendered, name: str) -> None:
    docs = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(startupProbe:.*?)```", docs, re.DOTALL)
    documented = yaml.safe_load(block.replace("port: 8000", "port: http"))
    (container,) = service(rendered[name])["spec"]["template"]["spec"]["containers"]
    assert {probe: container[probe] for probe in documented} == documented
    webhook = named(rendered[name], "label-studio-webhook", "Deployment")
    assert documented.keys() <= webhook["spec"]["template"]["spec"]["containers"][0].keys()


@pytest.mark.parametrize("name", NAMES)
def test_a_pod_that_ends_answers_its_slowest_caption(rendered: Rendered, name: str) -> None:
    spec = service(rendered[name])["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    settings = {entry["name"]: entry["value"] for entry in container["env"]}

    def of(setting: str) -> int:
        return int(settings[f"SNAP2CAPTION_SERVING_{setting}_SECONDS"])

    slowest = of("DEADLINE") + of("ENGINE")
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    # Readiness fails twice before the last proxy stops sending requests.
    assert pause >= container["readinessProbe"]["periodSeconds"] * container["readinessProbe"]["failureThreshold"]
    assert of("SHUTDOWN") > slowest
    assert spec["terminationGracePeriodSeconds"] > pause + of("SHUTDOWN")


def test_a_drain_that_would_drop_captions_is_refused() -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        render("production", "--set=serving.drain.requestSeconds=39")
    assert "a pod that ends would drop its slowest caption" in refused.value.stderr


def test_replicas_are_left_to_the_autoscaler(rendered: Rendered) -> None:
    scalers = {"staging": [], "canary": ["HorizontalPodAutoscaler"], "production": ["ScaledObject"]}
    for name, kinds in scalers.items():
        found = of_kind(rendered[name], "HorizontalPodAutoscaler", "ScaledObject")
        assert [scaler["kind"] for scaler in found] == kinds
        workload = service(rendered[name])
        assert ("replicas" in workload["spec"]) == (not kinds)
        for scaler in found:
            target = scaler["spec"]["scaleTargetRef"]
            assert (target["apiVersion"], target["kind"]) == (workload["apiVersion"], workload["kind"])
            assert target["name"] == workload["metadata"]["name"]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_replicas_share_a_database_with_room_for_each(rendered: Rendered, name: str) -> None:
    (container,) = service(rendered[name])["spec"]["template"]["spec"]["containers"]
    shared = {"name": "SNAP2CAPTION_SERVING_DATABASE_URL__FILE", "value": "/run/secrets/snap2caption_database_url"}
    assert shared in container["env"]
    spec = service(rendered[name])["spec"]
    scalers = [s["spec"] for s in of_kind(rendered[name], "HorizontalPodAutoscaler", "ScaledObject")]
    most = max([scaler.get("maxReplicas", scaler.get("maxReplicaCount")) for scaler in scalers] or [spec["replicas"]])
    docs = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    (each,) = re.findall(r"A replica opens up to ([0-9]+) connections", docs)
    cluster = named(rendered[name], "postgres", "Cluster")["spec"]
    others = 100  # Airflow, MLflow, Label Studio
    assert int(cluster["postgresql"]["parameters"]["max_connections"]) >= (most + 1) * int(each) + others
    assert {database["metadata"]["name"] for database in of_kind(rendered[name], "Database")} >= {
        "postgres-snap2caption"
    }


@pytest.mark.parametrize("name", NAMES)
def test_pods_read_only_secrets_that_they_are_given(rendered: Rendered, name: str) -> None:
    keys = {
        secret["spec"]["target"]["name"]: {entry["secretKey"] for entry in secret["spec"]["data"]}
        for secret in of_kind(rendered[name], "ExternalSecret")
    }
    for pod, spec in each_pod(rendered[name]):
        # The program of MLflow's accounts knows its files by itself.
        if pod in ("mlflow-accounts", "smoke", "statsd-exporter"):
            continue
        (volume,) = [volume for volume in spec["volumes"] if volume["name"] == "secrets"]
        sources = [source["secret"]["name"] for source in volume.get("projected", {}).get("sources", [])]
        mounted = set().union(*(keys[source] for source in sources or [volume["secret"]["secretName"]]))
        env = spec["containers"][0]["env"]
        files = {entry["value"] for entry in env if entry["name"].endswith("__FILE")}
        command = " ".join(spec["containers"][0].get("command", []))
        files |= set(re.findall(r"/run/secrets/[a-z_]+", command))
        assert files == {f"/run/secrets/{key}" for key in mounted}, pod


def test_secrets_are_those_of_compose(rendered: Rendered, tmp_path: Any) -> None:
    made = tmp_path / "secrets"
    environment = {**os.environ, "POSTGRES_HOST": "postgres-rw"}
    subprocess.run([ROOT / "scripts" / "stack-secrets", made], cwd=tmp_path, check=True, env=environment)
    known = {path.name for path in made.iterdir()}
    urls = [path.read_text(encoding="utf-8") for path in made.glob("*_database_url")]
    assert len(urls) == 5
    assert all(re.search("@postgres-rw/[a-z0-9_]+\n$", url) for url in urls)
    remote = {
        entry["remoteRef"]["key"].rpartition("/")[2]
        for secret in of_kind(rendered["vllm"], "ExternalSecret")
        for entry in secret["spec"]["data"]
    }
    # Those of a store elsewhere.
    assert remote - known == {"backup_s3_key", "backup_s3_secret"}


@pytest.mark.parametrize("name", NAMES)
def test_variables_are_settings(rendered: Rendered, name: str) -> None:
    settings = {f"SNAP2CAPTION_{field.upper()}" for field in Settings.model_fields}
    settings |= {f"SNAP2CAPTION_SERVING_{field.upper()}" for field in ServingSettings.model_fields}
    docs = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    settings |= {*re.findall(r"SNAP2CAPTION_(?:LABEL_STUDIO|AIRFLOW)_[A-Z_]+", docs)}
    settings |= {"SNAP2CAPTION_AIRFLOW_PASSWORD", "SNAP2CAPTION_LABEL_STUDIO_WEBHOOK_SECRET"}
    for pod, spec in each_pod(rendered[name]):
        used = {entry["name"].removesuffix("__FILE") for entry in spec["containers"][0].get("env", [])}
        assert {variable for variable in used if variable.startswith("SNAP2CAPTION_")} <= settings, pod


@pytest.mark.parametrize("name", [*NAMES, "ray"])
def test_a_pod_has_each_variable_once(rendered: Rendered, name: str) -> None:
    # Server-side apply, which Argo CD uses, refuses a second one.
    manifests = read(INFRA / "ray") if name == "ray" else rendered[name]
    for pod, spec in each_pod(manifests):
        names = [entry["name"] for entry in spec["containers"][0].get("env", [])]
        assert len(names) == len(set(names)), pod


def test_settings_of_other_values_are_refused(rendered: Rendered) -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))["properties"]
    for part, pod in (("serving", "serving"), ("tasks", "task")):
        (spec,) = [spec for found, spec in each_pod(rendered["vllm"]) if found == pod]
        env = spec["containers"][0]["env"]
        own = {entry["name"] for entry in env if entry["name"].startswith(("SNAP2CAPTION_", "OTEL_"))}
        refused = schema[part]["properties"]["settings"]["propertyNames"]["not"]["enum"]
        assert {*refused} == {name for name in own if not name.endswith("__FILE")}, part


def test_secrets_lose_the_line_break_of_their_files(rendered: Rendered) -> None:
    for secret in of_kind(rendered["vllm"], "ExternalSecret"):
        made = secret["spec"]["target"]["template"]["data"]
        fetched = {entry["secretKey"] for entry in secret["spec"]["data"]}
        if made.keys() != {"username", "password"}:
            assert made == {key: f'{{{{ index . "{key}" | trim }}}}' for key in fetched}
        else:
            assert (fetched, made["password"]) == ({"password"}, "{{ .password | trim }}")


def test_secrets_may_be_properties_of_one_entry(rendered: Rendered) -> None:
    together = render("staging", "--set=secrets.together=true", "--set=secrets.prefix=snap2caption-staging")

    def places(manifests: list[Manifest]) -> dict[str, list[dict[str, str]]]:
        secrets = of_kind(manifests, "ExternalSecret")
        return {s["metadata"]["name"]: [entry["remoteRef"] for entry in s["spec"]["data"]] for s in secrets}

    for name, apart in places(rendered["staging"]).items():
        assert places(together)[name] == [
            {"key": "snap2caption-staging", "property": place["key"].removeprefix("snap2caption/staging/")}
            for place in apart
        ]


def test_images_are_of_the_charts_version_by_default() -> None:
    # What is published as v1.2.3 must not run the images of another version.
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))["images"]
    assert {image["tag"] for image in values.values() if isinstance(image, dict)} == {""}
    version = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["appVersion"]
    options = [f"--set=images.{name}.tag=" for name in ("serving", "etl", "pipelines", "pipelines-cuda", "mlflow")]
    images = {c["image"] for _, spec in each_pod(render("staging", *options)) for c in spec["containers"]}
    assert {image.rpartition(":")[2] for image in images if "/snap2caption/" in image} == {version}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_chameleon_has_room_classes_and_secrets(name: str) -> None:
    manifests = render(name, f"--values={CHART / 'sites' / 'chameleon.yaml'}")
    table = json.loads(named(manifests, "task-pods", "ConfigMap")["data"]["task_pods.json"])
    memory = {task: int(row["memory"].removesuffix("Gi")) for task, row in table.items() if "gpu" not in row}
    # Of a node's 16 GB.
    assert max(memory.values()) <= 12
    shared = [claim["spec"] for claim in of_kind(manifests, "PersistentVolumeClaim")]
    assert {claim["storageClassName"] for claim in shared} == {"shared"}
    stores = {e["remoteRef"]["key"] for s in of_kind(manifests, "ExternalSecret") for e in s["spec"]["data"]}
    assert stores == {f"snap2caption-{name}"}
    (store,) = of_kind(read(INFRA / "secrets"), "ClusterSecretStore")
    (used,) = {secret["spec"]["secretStoreRef"]["name"] for secret in of_kind(manifests, "ExternalSecret")}
    assert store["metadata"]["name"] == used
    assert f"snap2caption-{name}" in store["spec"]["conditions"][0]["namespaces"]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_gateway_waits_for_the_slowest_caption(rendered: Rendered, name: str) -> None:
    (rule,) = named(rendered[name], "serving", "HTTPRoute")["spec"]["rules"]
    (container,) = service(rendered[name])["spec"]["template"]["spec"]["containers"]
    env = {entry["name"]: entry["value"] for entry in container["env"]}
    assert rule["timeouts"] == {"request": f"{env['SNAP2CAPTION_SERVING_SHUTDOWN_SECONDS']}s"}


@pytest.mark.parametrize(
    "wrong",
    [
        "images.serving.tag=latest",
        "serving.settings.SNAP2CAPTION_SERVING_ENGINE_SECONDS=300",
        "images.serving.digest=sha256:1234",
        "serving.replcas=2",
        "serving.canaryShare=2",
        "gateway.host=captions",
        "tasks.pods.default.memory=lots",
        "vllm.image=docker.io/vllm/vllm-openai",
        "monitoring.enabled=false",
        "postgres.backup.endpoint=http://seaweedfs-s3:8333",
        "postgres.restore.time=yesterday",
        "gateway.trusted[0]=*",
        "serving.traces=collector:4318",
    ],
)
def test_the_schema_refuses(wrong: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        render("production", f"--set-string={wrong}" if "tag" in wrong else f"--set={wrong}")
    assert "values don't meet the specifications of the schema" in refused.value.stderr


def test_jobs_have_the_names_that_rules_know(rendered: Rendered) -> None:
    rules = " ".join(str(rule["spec"]) for rule in of_kind(rendered["production"], "PrometheusRule"))
    jobs = set()
    for monitor in of_kind(rendered["production"], "ServiceMonitor", "PodMonitor"):
        (endpoint,) = monitor["spec"].get("endpoints") or monitor["spec"]["podMetricsEndpoints"]
        (relabeling,) = endpoint["relabelings"]
        assert relabeling["targetLabel"] == "job"
        jobs.add(relabeling["replacement"])
    assert set(re.findall(r'job="(\w+)"', rules)) <= jobs


def test_the_first_sync_needs_no_model(rendered: Rendered) -> None:
    for name in ENVIRONMENTS:
        (container,) = service(rendered[name])["spec"]["template"]["spec"]["containers"]
        assert {"name": "SNAP2CAPTION_SERVING_READY_WITHOUT_MODEL", "value": "true"} in container["env"]


def test_images_of_others_are_those_of_compose(rendered: Rendered) -> None:
    exporter = named(rendered["production"], "statsd-exporter", "Deployment")
    image = exporter["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image.removeprefix("docker.io/") in (ROOT / "images.txt").read_text(encoding="utf-8").splitlines()


def test_each_rule_and_dashboard_is_the_one_of_monitoring(rendered: Rendered) -> None:
    for rule in of_kind(rendered["production"], "PrometheusRule"):
        path = ROOT / "monitoring" / "prometheus" / "rules" / f"{rule['metadata']['name']}.yml"
        assert rule["spec"] == yaml.safe_load(path.read_text(encoding="utf-8"))
    dashboards = named(rendered["production"], "dashboards", "ConfigMap")["data"]
    folder = ROOT / "monitoring" / "grafana" / "dashboards"
    assert dashboards.keys() == {path.name for path in folder.glob("*.json")}


def test_tasks_may_share_no_volume(rendered: Rendered) -> None:
    claim = "PersistentVolumeClaim"
    usual = {one["metadata"]["name"] for one in rendered["staging"] if one["kind"] == claim}
    options = ("--set=tasks.state.shared=false", "--set=tasks.workUri=s3://datasets/work")
    manifests = render("staging", *options)
    assert usual - {one["metadata"]["name"] for one in manifests if one["kind"] == claim} == {"pipelines"}
    (task,) = [pod["spec"] for pod in pods(manifests) if pod["metadata"]["name"] == "task"]
    (state,) = [volume for volume in task["volumes"] if volume["name"] == "state"]
    assert state["ephemeral"]["volumeClaimTemplate"]["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert {"name": "SNAP2CAPTION_WORK_URI", "value": "s3://datasets/work"} in task["containers"][0]["env"]
    for wrong, told in ((options[:1], "tasks.workUri must be a prefix"), (("--set=tasks.workUri=/mnt",), "workUri")):
        with pytest.raises(subprocess.CalledProcessError) as refused:
            render("staging", *wrong)
        assert told in refused.value.stderr
