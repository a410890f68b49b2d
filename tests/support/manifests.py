"""Manifests of the rendered chart, by kind and name."""

from collections.abc import Iterator

from infra.validation.render import ENVIRONMENTS, Manifest, pods

NAMES = [*ENVIRONMENTS, "vllm"]
"""The environments, and one whose engine is vLLM."""

Rendered = dict[str, list[Manifest]]


def each_pod(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    for pod in pods(manifests):
        yield pod["metadata"]["name"], pod["spec"]


def of_kind(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def named(manifests: list[Manifest], name: str, *kinds: str) -> Manifest:
    (found,) = [manifest for manifest in of_kind(manifests, *kinds) if manifest["metadata"]["name"] == name]
    return found


def service(manifests: list[Manifest]) -> Manifest:
    return named(manifests, "serving", "Rollout", "Deployment")
