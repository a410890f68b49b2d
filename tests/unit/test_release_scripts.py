"""The scripts of a release sign an image by its digest, and pass that on to the clusters."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from snap2caption.settings import ROOT

pytestmark = pytest.mark.unit

DIGEST = "sha256:" + "0123456789abcdef" * 4
IMAGES = ("serving", "etl", "pipelines", "pipelines-cuda", "mlflow")
DOCKER = """#!/bin/sh
while [ "$1" != --metadata-file ]; do shift; done
printf '{"containerimage.digest": "%s"}' "$TOLD" >"$2"
"""


def run(folder: Path, *command: str, told: str = DIGEST) -> subprocess.CompletedProcess[str]:
    settings = {"VERSION": "v1.2.3", "REGISTRY": "ghcr.io/Owner/Name", "BASE": "base", "TOLD": told}
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(
        command, cwd=folder, env={**settings, "PATH": path}, capture_output=True, text=True, check=False
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the scripts, a Docker that only tells a digest, and a cosign that notes what it signs."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    shutil.copy(ROOT / "images.txt", tmp_path)
    (tmp_path / "bin").mkdir()
    for name, text in (("docker", DOCKER), ("cosign", '#!/bin/sh\necho "$*" >>signed\n')):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    return tmp_path


def test_digests_are_signed_and_go_to_the_clusters(folder: Path) -> None:
    for image in IMAGES:
        done = run(folder, "scripts/release-image", image)
        assert done.returncode == 0, done.stderr
    signed = (folder / "signed").read_text().splitlines()
    assert signed == [f"sign --yes ghcr.io/owner/name/{image}@{DIGEST}" for image in IMAGES]
    release = yaml.safe_load(run(folder, "scripts/release-file").stdout)
    assert release["release"] == {"revision": "v1.2.3"}
    assert release["images"] == {image: {"tag": "1.2.3", "digest": DIGEST} for image in IMAGES}
    followed = yaml.safe_load((ROOT / "infra" / "argocd" / "releases" / "production.yaml").read_text())
    assert followed.keys() == release.keys()
    assert followed["images"].keys() == release["images"].keys()


def test_an_image_without_a_digest_is_not_signed(folder: Path) -> None:
    assert run(folder, "scripts/release-image", "serving", told="").returncode == 1
    assert not (folder / "signed").exists()
    assert run(folder, "scripts/release-file").returncode != 0
