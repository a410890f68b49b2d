"""Command ``python -m infra.validation``: lints the chart, renders it, and validates all manifests strictly.

It leaves custom resources for ``npm run check``, and what checkov reads in ``build/kubernetes/``. It says something
only if it finds an error.
"""

import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import yaml

from infra.validation import custom_resources
from infra.validation.render import CHART, ENVIRONMENTS, INFRA, Manifest, helm, pods, read, render, values_of

KUBERNETES = "1.36"
"""The version whose schemas count, with unknown fields refused."""

BUILD = INFRA.parent / "build" / "kubernetes"


def main() -> int:
    """Validate; return the exit status."""
    for environment in ENVIRONMENTS:
        given = [*values_of(environment), f"--namespace=snap2caption-{environment}"]
        linted = subprocess.run(
            [helm(), "lint", "--strict", "--quiet", str(CHART), *given], capture_output=True, text=True, check=False
        )
        if linted.returncode != 0:
            print(linted.stdout, linted.stderr, file=sys.stderr)
            return 1
    found = {environment: render(environment) for environment in ENVIRONMENTS}
    revision = "--set=vllm.enabled=true", "--set=vllm.revision=0123456789abcdef"
    found |= {"vllm": render("production", *revision)}
    found |= {name: read(INFRA / name) for name in ("argocd", "ray", "secrets")}
    errors = [error for name, manifests in found.items() for error in errors_of(name, manifests)]
    print("\n".join(errors), end="\n" if errors else "", file=sys.stderr)
    custom_resources.write(
        (name, manifest)
        for name, manifests in found.items()
        for manifest in manifests
        if custom_resources.is_custom(manifest)
    )
    for name, manifests in found.items():
        core = [*filter(_is_core, manifests)]
        # Checkov finds the pods of Kubernetes' own kinds by itself.
        others = [manifest for manifest in manifests if manifest["kind"] not in ("Deployment", "Job")]
        _write(BUILD / f"{name}.yaml", [*core, *pods(others)])
    return 1 if errors else 0


def _is_core(manifest: Manifest) -> bool:
    return not custom_resources.is_custom(manifest)


def errors_of(name: str, manifests: list[Manifest]) -> list[str]:
    """Return what Kubernetes' schemas refuse in its own kinds, and in the pods of others."""
    errors = []
    for manifest in [*filter(_is_core, manifests), *pods(manifests)]:
        try:
            kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
        except kubernetes_validate.ValidationError as error:
            where = ".".join(map(str, error.path))
            errors.append(f"{name}: {manifest['kind']} {manifest['metadata']['name']}: {where}: {error.message}")
    return errors


def _write(path: Path, manifests: list[Manifest]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump_all(manifests), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
