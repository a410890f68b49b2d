"""Each image that Kubernetes runs is a target of the Dockerfile, built with locks that exist."""

import os
import re
import subprocess

import pytest
import yaml

from infra.validation.render import CHART, INFRA, pods, read
from snap2caption.settings import ROOT

pytestmark = pytest.mark.unit

VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))["images"]
OURS = f"{VALUES['registry']}/"
RAY = {c["image"] for pod in pods(read(INFRA / "ray")) for c in pod["spec"]["containers"]}
IMAGES = sorted(
    {name for name, value in VALUES.items() if isinstance(value, dict)}
    | {image.removeprefix(OURS).partition(":")[0] for image in RAY}
)


def arguments(name: str) -> dict[str, str]:
    """Return the target and the build arguments of an image, on a machine without a GPU."""
    told = subprocess.run(
        [ROOT / "scripts" / "image-arguments", name],
        env={**os.environ, "BASE": "base", "TORCH": "cpu"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    options = zip(told[::2], told[1::2], strict=True)
    return dict(
        value.split("=", 1) if option == "--build-arg" else (option.lstrip("-"), value) for option, value in options
    )


@pytest.mark.parametrize("name", IMAGES)
def test_its_target_and_its_locks_exist(name: str) -> None:
    given = arguments(name)
    dockerfile = (ROOT / "containers" / "Dockerfile").read_text(encoding="utf-8")
    assert given["target"] in re.findall(r"^FROM \S+ AS (\S+)$", dockerfile, re.MULTILINE)
    for extra in given.get("EXTRAS", "dev").split(","):
        assert (ROOT / "locks" / f"{extra}.txt").exists()


def test_variants_differ_from_what_a_machine_builds_for_itself() -> None:
    assert arguments("etl") == {"target": "pipelines", "BASE": "base", "TORCH": "none", "EXTRAS": "etl-tasks"}
    assert arguments("pipelines")["TORCH"] == "cpu"
    for name in ("pipelines-cuda", "training-cuda"):
        assert arguments(name)["TORCH"] == "cuda"
        assert "cuda" in arguments(name)["BASE"]
    assert arguments("training-cuda")["EXTRAS"] == "training,ray"
