"""Type check of custom resources, against the types that kubernetes-models makes from their definitions.

Each resource becomes a literal of its type in TypeScript, whose compiler refuses unknown, missing and mistyped fields.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent / "custom_resources"

_PACKAGES = {
    "external-secrets.io": "external-secrets",
    "gateway.networking.k8s.io": "gateway-api",
    "keda.sh": "keda",
    "monitoring.coreos.com": "prometheus-operator",
    "postgresql.cnpg.io": "cloudnative-pg",
}
_ARGO = {
    "AnalysisTemplate": "argo-rollouts",
    "AppProject": "argo-cd",
    "Application": "argo-cd",
    "ApplicationSet": "argo-cd",
    "Rollout": "argo-rollouts",
}
UNTYPED = frozenset({"RayJob"})
"""Kinds for which there is no package. Tests check their fields, and their pods are checked like any other."""

_CONFIGURATION = {
    "compilerOptions": {
        "module": "nodenext",
        "moduleResolution": "nodenext",
        "noEmit": True,
        "skipLibCheck": True,
        "strict": True,
        "target": "es2022",
        "types": [],
    },
    "files": ["resources.ts"],
}


def is_custom(manifest: dict[str, Any]) -> bool:
    """Return whether the resource is not one of Kubernetes' own."""
    group = manifest["apiVersion"].rpartition("/")[0]
    return group == "argoproj.io" or group in _PACKAGES or manifest["kind"] in UNTYPED


def write(named: Iterable[tuple[str, dict[str, Any]]], folder: Path = FOLDER / ".check") -> None:
    """Write *named* custom resources to a *folder* in which the compiler finds the types. A name says where it is from.

    ``npm run check`` compiles the default one.
    """
    imports, literals = set(), []
    for index, (name, manifest) in enumerate(named):
        kind = manifest["kind"]
        if kind in UNTYPED:
            continue
        group, _, version = manifest["apiVersion"].rpartition("/")
        package = _ARGO[kind] if group == "argoproj.io" else _PACKAGES[group]
        imports.add(f'import type {{ I{kind} }} from "@kubernetes-models/{package}/{group}/{version}/{kind}";')
        literals.append(f"// {name}\nexport const r{index}: I{kind} = {json.dumps(manifest, indent=1)};")
    folder.mkdir(exist_ok=True)
    (folder / "tsconfig.json").write_text(json.dumps(_CONFIGURATION), encoding="utf-8")
    (folder / "resources.ts").write_text("\n".join([*sorted(imports), *literals]), encoding="utf-8")
