"""An upgrade of the stack in containers: an earlier release fills the volumes, and this one goes on with them.

`make test-upgrade` runs it, from the commit or tag FROM, as a user does it: `make up`, fetch the release, `make up`.
Both releases build their images; those of this one are there at the end.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import compose_stack
import patience
import pytest
from compose_stack import LONG_RUNNING, Stack
from PIL import Image, ImageOps

from snap2caption.settings import ROOT

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(7200),
    pytest.mark.skipif("UPGRADE_FROM" not in os.environ, reason="needs Docker; run `make test-upgrade`"),
]

PAIRS = 200
CHANGED = ("airflow-scheduler", "serving")
"""Services with our code in their images, so that each release has others."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A clone of this repository at the earlier release."""
    folder = tmp_path_factory.mktemp("clone")
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    subprocess.run(["git", "checkout", "--quiet", os.environ["UPGRADE_FROM"]], cwd=folder, check=True)
    with compose_stack.emptied(compose_stack.prepared(folder, "snap2caption-upgrade")) as stack:
        yield stack


def images(stack: Stack) -> dict[str, str]:
    """The image that each service runs."""
    running = {service: stack.container(service) for service in stack.containers()}
    return {
        service: stack.run("docker", "inspect", "--format", "{{.Image}}", container).stdout.strip()
        for service, container in running.items()
    }


def test_an_upgrade_keeps_all_data(stack: Stack, tmp_path: Path) -> None:
    stack.run("make", "up")
    with compose_stack.corpus(tmp_path, stack, PAIRS) as url:
        stack.train(url)
    key = {"X-API-Key": stack.secret("api_key")}
    address = f"{stack.url('SERVING')}/v1/voice"
    patience.put(address, json={"captions": ["Coffee first ☕", "Golden hour again"]}, headers=key).raise_for_status()
    request = stack.correct_a_caption()
    patience.until(stack.records)
    # The correction is one of the captions.
    voice = patience.get(address, headers=key).json()["captions"]
    assert len(voice) == 3
    before, model, old = stack.contents(), stack.served(), images(stack)

    # This release: where the clone was before.
    stack.run("git", "checkout", "--quiet", "-")
    began = time.monotonic()
    stack.run("make", "up")
    print(f"upgraded, images built, in {time.monotonic() - began:.0f} s")
    stack.wait_for_health("healthy", *LONG_RUNNING)
    assert all(image != old[service] for service, image in images(stack).items() if service in CHANGED)
    assert kept(stack.contents()) == kept(before)
    assert stack.served() == model
    assert patience.get(address, headers=key).json()["captions"] == voice
    # All parts go on with what is there.
    (record,) = stack.records()
    assert record["request_id"] == request
    # Another photo, as the same caption of the same photo makes one task.
    with Image.open(ROOT / "sample.jpg") as photo:
        ImageOps.mirror(photo).save(tmp_path / "mirrored.jpg")
    second = stack.correct_a_caption(tmp_path / "mirrored.jpg")
    patience.until(lambda: {record["request_id"] for record in stack.records()} == {request, second})
    with stack.airflow() as airflow:
        run = airflow.trigger("feedback", {})
        for _ in airflow.watch("feedback", run, patience.LONGEST):
            pass
    # The feedback that the earlier release took is among them.
    assert stack.postgres("label_studio", "SELECT count(*) FROM task") == "2"


def kept(contents: dict[str, str]) -> dict[str, str]:
    """What an upgrade leaves as it is: all but files whose schema it may migrate."""
    return {name: content for name, content in contents.items() if name != "voices"}
