"""Rendered manifests of each environment, by Helm."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

INFRA = Path(__file__).resolve().parent.parent
CHART = INFRA / "helm" / "snap2caption"
ENVIRONMENTS = ("staging", "canary", "production")

Manifest = dict[str, Any]


def helm() -> str:
    """Return the program: that of the locked wheel, else the machine's."""
    locked = Path(sys.prefix) / "kubernetes" / "bin" / "helm"
    found = str(locked) if locked.exists() else shutil.which("helm")
    if found is None:
        sys.exit("Helm is missing; run `make check-kubernetes`, or install it where no wheel of it runs.")
    return found


def values_of(environment: str) -> list[str]:
    """Return Helm's options for an environment: its values, and the release that it runs."""
    release = INFRA / "argocd" / "releases" / f"{environment}.yaml"
    return [f"--values={CHART / f'values-{environment}.yaml'}", f"--values={release}"]


def render(environment: str, *options: str) -> list[Manifest]:
    """Return the manifests of an environment, rendered as Argo CD does.

    Args:
        environment: one of `ENVIRONMENTS`.
        options: further options of ``helm template``, such as ``--set=vllm.enabled=true``.

    Raises:
        subprocess.CalledProcessError: the values don't fit the schema, or a template refuses them.
    """
    given = [f"--namespace=snap2caption-{environment}", *values_of(environment), *options]
    done = subprocess.run(
        [helm(), "template", "snap2caption", str(CHART), *given], capture_output=True, text=True, check=True
    )
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


def read(folder: Path) -> list[Manifest]:
    """Return the manifests in *folder*, and in folders of it, that are not values."""
    manifests = [
        manifest
        for path in sorted(folder.rglob("*.yaml"))
        for manifest in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    ]
    return [manifest for manifest in manifests if manifest and "kind" in manifest]


def pods(manifests: list[Manifest]) -> Iterator[Manifest]:
    """Yield each pod that *manifests* lead to, as a Pod: those of workloads, of Airflow's tasks and of Ray."""
    for manifest in manifests:
        spec, name = manifest.get("spec") or {}, manifest["metadata"]["name"]
        if manifest["kind"] == "ConfigMap" and "pod_template_file.yaml" in manifest["data"]:
            yield yaml.safe_load(manifest["data"]["pod_template_file.yaml"])
        elif manifest["kind"] == "RayJob":
            cluster = spec["rayClusterSpec"]
            yield _pod(f"{name}-submitter", spec["submitterPodTemplate"])
            yield _pod(f"{name}-head", cluster["headGroupSpec"]["template"])
            for group in cluster["workerGroupSpecs"]:
                yield _pod(f"{name}-{group['groupName']}", group["template"])
        elif manifest["kind"] in ("Deployment", "Job", "Rollout"):
            yield _pod(name, spec["template"])


def _pod(name: str, template: Manifest) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, **template.get("metadata", {})},
        "spec": template["spec"],
    }
