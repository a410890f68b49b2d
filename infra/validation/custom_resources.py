"""Type check of custom resources, against the types that kubernetes-models makes from their definitions.

Kinds that it lacks have types of ours, in ``types/``. Each resource becomes a literal of its type in TypeScript, whose
compiler refuses unknown, missing and mistyped fields.
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
_OURS = {path.stem: path.read_text(encoding="utf-8") for path in (FOLDER / "types").glob("*.ts")}
"""Types of kinds for which there is no package."""

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
    return group == "argoproj.io" or group in _PACKAGES or manifest["kind"] in _OURS


def write(named: Iterable[tuple[str, dict[str, Any]]], folder: Path = FOLDER / ".check") -> None:
    """Write *named* custom resources to a *folder* in which the compiler finds the types. A name says where it is from.

    ``npm run check`` compiles the default one.
    """
    folder.mkdir(exist_ok=True)
    imports, literals = set(), []
    for index, (name, manifest) in enumerate(named):
        kind = manifest["kind"]
        if kind in _OURS:
            (folder / f"{kind}.ts").write_text(_OURS[kind], encoding="utf-8")
            module = f"./{kind}.js"
        else:
            group, _, version = manifest["apiVersion"].rpartition("/")
            package = _ARGO[kind] if group == "argoproj.io" else _PACKAGES[group]
            module = f"@kubernetes-models/{package}/{group}/{version}/{kind}"
        imports.add(f'import type {{ I{kind} }} from "{module}";')
        literals.append(f"// {name}\nexport const r{index}: I{kind} = {json.dumps(manifest, indent=1)};")
    (folder / "tsconfig.json").write_text(json.dumps(_CONFIGURATION), encoding="utf-8")
    (folder / "resources.ts").write_text("\n".join([*sorted(imports), *literals]), encoding="utf-8")
