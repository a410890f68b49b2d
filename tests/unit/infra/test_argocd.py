"""Argo CD's projects and applications: pinned, confined, and promoted by a copy of a file."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.validation.render import CHART, ENVIRONMENTS, INFRA, Manifest, helm, pods, read

pytestmark = pytest.mark.unit

ARGOCD = INFRA / "argocd"
RELEASES = ARGOCD / "releases"
MANIFESTS = read(ARGOCD)
PROJECTS = {m["metadata"]["name"]: m["spec"] for m in MANIFESTS if m["kind"] == "AppProject"}
SETS = {m["metadata"]["name"]: m["spec"] for m in MANIFESTS if m["kind"] == "ApplicationSet"}


def listed(found: Any) -> list[dict[str, str]]:
    """Return the elements of all list generators in *found*."""
    if isinstance(found, list):
        return [element for each in found for element in listed(each)]
    if not isinstance(found, dict):
        return []
    return [*found.get("list", {}).get("elements", []), *(e for value in found.values() for e in listed(value))]


CHARTS = {name: listed(spec["generators"]) for name, spec in SETS.items()}


def test_there_is_a_release_and_values_of_each_environment() -> None:
    assert {path.stem for path in RELEASES.glob("*.yaml")} == {*ENVIRONMENTS}
    assert {path.stem.removeprefix("values-") for path in CHART.glob("values-*.yaml")} == {*ENVIRONMENTS}


def test_charts_of_others_have_exact_versions() -> None:
    assert {chart["name"] for chart in CHARTS["snap2caption-services"]} == {
        "airflow", "label-studio", "mlflow", "seaweedfs",
    }  # fmt: skip
    assert {chart["name"] for chart in CHARTS["snap2caption-operators"]} >= {
        "argo-rollouts", "cloudnative-pg", "external-secrets", "keda", "kube-prometheus-stack", "kuberay-operator",
    }  # fmt: skip
    for chart in [chart for charts in CHARTS.values() for chart in charts]:
        assert re.fullmatch(r"v?[0-9]+\.[0-9]+\.[0-9]+", chart["version"]), chart


def test_projects_allow_exactly_what_their_applications_need() -> None:
    for name, spec in SETS.items():
        template = spec["template"]["spec"]
        project = PROJECTS[template["project"]]
        charts = CHARTS[name]
        own = {source["repoURL"] for source in template["sources"] if "{{" not in source["repoURL"]}
        assert own | {chart["repository"] for chart in charts} <= {*project["sourceRepos"]}
        allowed = {destination["namespace"] for destination in project["destinations"]}
        namespaces = {chart["namespace"] for chart in charts if "namespace" in chart}
        assert (namespaces or {f"snap2caption-{environment}" for environment in ENVIRONMENTS}) <= allowed
    for project in PROJECTS.values():
        everything = str([project["sourceRepos"], project["destinations"], project["clusterResourceWhitelist"]])
        assert "*" not in everything
    # Environments make nothing for the whole cluster but their namespace.
    assert PROJECTS["snap2caption"]["clusterResourceWhitelist"] == [{"group": "", "kind": "Namespace"}]


def test_namespaces_enforce_the_restricted_standard() -> None:
    policy = SETS["snap2caption"]["template"]["spec"]["syncPolicy"]
    assert policy["managedNamespaceMetadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_what_the_server_fills_in_is_no_difference() -> None:
    for spec in SETS.values():
        template = spec["template"]
        assert template["metadata"]["annotations"] == {"argocd.argoproj.io/compare-options": "ServerSideDiff=true"}
        assert "ServerSideApply=true" in template["spec"]["syncPolicy"]["syncOptions"]
        # Nothing of ours is ignored: where an autoscaler decides, the manifest has no number.
        assert "ignoreDifferences" not in template["spec"]
        assert template["spec"]["syncPolicy"]["retry"]["limit"] >= 10


def test_the_plugin_is_beside_its_operator() -> None:
    namespaces = {chart["name"]: chart["namespace"] for chart in CHARTS["snap2caption-operators"]}
    assert namespaces["plugin-barman-cloud"] == namespaces["cloudnative-pg"]


def test_charts_run_our_images_by_their_digests() -> None:
    patch = SETS["snap2caption-services"]["templatePatch"]
    for chart in CHARTS["snap2caption-services"]:
        if chart["image"]:
            assert {"repositoryValue", "tagValue", "digestValue"} <= chart.keys(), chart["name"]
    for value in ("repositoryValue", "tagValue", "digestValue"):
        assert f"{{{{ .{value} }}}}" in patch


def test_values_of_other_charts_belong_to_one_of_them() -> None:
    charts = {chart["name"] for charts in CHARTS.values() for chart in charts}
    files = {path.stem for path in (ARGOCD / "values").glob("*.yaml")}
    assert {chart["name"] for chart in CHARTS["snap2caption-services"]} <= files <= charts


def test_airflow_finds_what_our_chart_makes_for_it(rendered: dict[str, list[Manifest]]) -> None:
    values = yaml.safe_load((ARGOCD / "values" / "airflow.yaml").read_text(encoding="utf-8"))
    made = {(m["kind"], m["metadata"]["name"]) for m in rendered["production"]}
    assert values["executor"] == "KubernetesExecutor"
    assert ("PersistentVolumeClaim", values["logs"]["persistence"]["existingClaim"]) in made
    (template,) = values["scheduler"]["extraVolumes"]
    assert ("ConfigMap", template["configMap"]["name"]) in made
    (mount,) = values["scheduler"]["extraVolumeMounts"]
    file = values["config"]["kubernetes_executor"]["pod_template_file"]
    assert file == f"{mount['mountPath']}/pod_template_file.yaml"
    # A file, and no part of one: Kubernetes brings those up to date.
    (volume,) = values["dagProcessor"]["extraVolumes"]
    (mount,) = values["dagProcessor"]["extraVolumeMounts"]
    (table,) = [m["data"] for m in rendered["production"] if m["metadata"]["name"] == volume["configMap"]["name"]]
    (name,) = table
    file = {"name": "SNAP2CAPTION_TASK_PODS_FILE", "value": f"{mount['mountPath']}/{name}"}
    assert values["dagProcessor"]["env"] == [file]
    assert "subPath" not in mount
    # Argo CD would wait for hooks before it starts what they wait for.
    assert values["migrateDatabaseJob"]["useHelmHooks"] is False


def test_airflow_shows_the_logs_that_tasks_write(rendered: dict[str, list[Manifest]]) -> None:
    values = yaml.safe_load((ARGOCD / "values" / "airflow.yaml").read_text(encoding="utf-8"))
    # The chart mounts the volume in its home's folder logs.
    folder = f"{values.get('airflowHome', '/opt/airflow')}/logs"
    variable = {"name": "AIRFLOW__LOGGING__BASE_LOG_FOLDER", "value": folder}
    assert variable in values["env"]
    assert values["config"]["logging"]["base_log_folder"] == folder
    for manifests in rendered.values():
        (task,) = [pod["spec"] for pod in pods(manifests) if pod["metadata"]["name"] == "task"]
        (container,) = task["containers"]
        assert variable in container["env"]
        (volume,) = [v for v in task["volumes"] if v["name"] == "logs"]
        assert volume["persistentVolumeClaim"]["claimName"] == values["logs"]["persistence"]["existingClaim"]
        assert {"name": "logs", "mountPath": folder} in container["volumeMounts"]


def test_policies_know_each_pod_of_the_store(rendered: dict[str, list[Manifest]]) -> None:
    # The pod that makes the buckets has the release's label, and not the chart's.
    (policy,) = [
        m["spec"] for m in rendered["staging"] if m["kind"] == "NetworkPolicy" and m["metadata"]["name"] == "store"
    ]
    assert SETS["snap2caption-services"]["template"]["spec"]["sources"][0]["helm"]["releaseName"] == "{{ .name }}"
    assert policy["podSelector"] == {"matchLabels": {"app.kubernetes.io/instance": "seaweedfs"}}


def test_secrets_of_other_charts_have_the_keys_they_name(rendered: dict[str, list[Manifest]]) -> None:
    secrets = {
        m["spec"]["target"]["name"]: {entry["secretKey"] for entry in m["spec"]["data"]}
        for m in rendered["production"]
        if m["kind"] == "ExternalSecret"
    }
    # Not secret, but others' charts take variables from Secrets alone.
    secrets |= {m["metadata"]["name"]: set(m["data"]) for m in rendered["production"] if m["kind"] == "Secret"}
    assert secrets["airflow"] == {"api-secret-key", "connection", "fernet-key", "jwt-secret"}
    values = yaml.safe_load((ARGOCD / "values" / "label-studio.yaml").read_text(encoding="utf-8"))["global"]
    named = [*values["extraEnvironmentSecrets"].values(), values["pgConfig"]["password"]]
    for secret in named:
        assert secret["secretKey"] in secrets[secret["secretName"]]


def test_a_promotion_is_a_copy_of_a_file(tmp_path: Path) -> None:
    staging = RELEASES / "staging.yaml"
    release = yaml.safe_load(staging.read_text(encoding="utf-8"))
    assert release.keys() == {"images", "release"}
    release["images"]["serving"] = {"tag": "0.2.0", "digest": f"sha256:{'5' * 64}"}
    promoted = tmp_path / "production.yaml"
    shutil.copy(staging, promoted)
    promoted.write_text(yaml.safe_dump(release), encoding="utf-8")
    done = subprocess.run(
        [helm(), "template", "snap2caption", CHART, f"--values={CHART / 'values-production.yaml'}",
         f"--values={promoted}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    (rollout,) = [m for m in yaml.safe_load_all(done.stdout) if m and m["kind"] == "Rollout"]
    (container,) = rollout["spec"]["template"]["spec"]["containers"]
    assert container["image"].endswith(f"/serving:0.2.0@sha256:{'5' * 64}")
