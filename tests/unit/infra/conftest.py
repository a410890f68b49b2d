"""The chart as each environment gets it, rendered once."""

import pytest

from infra.validation.render import ENVIRONMENTS, Manifest, render

VLLM = ("--set=vllm.enabled=true", "--set=vllm.revision=0123456789abcdef")
TRACES = "--set=serving.traces=http://collector.monitoring:4318"

Rendered = dict[str, list[Manifest]]


@pytest.fixture(scope="session")
def rendered() -> Rendered:
    """Return the manifests by environment, and of production with vLLM and traces under the name ``vllm``."""
    return {name: render(name) for name in ENVIRONMENTS} | {"vllm": render("production", *VLLM, TRACES)}
