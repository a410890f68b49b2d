"""The training on several nodes: what KubeRay's job says, and that the command in it is one of ours."""

import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest

from infra.validation.render import INFRA, read
from snap2caption.settings import ROOT
from training.recipes.loading import load_recipe
from training.recipes.lookup import locate_recipe

pytestmark = pytest.mark.unit

(JOB,) = read(INFRA / "ray")
CLUSTER = JOB["spec"]["rayClusterSpec"]
(WORKERS,) = CLUSTER["workerGroupSpecs"]


def test_its_ray_is_ours() -> None:
    pinned = re.findall(r"^ray==(.*)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert [CLUSTER["rayVersion"]] == pinned


def test_nobody_without_its_token_reaches_it() -> None:
    assert CLUSTER["authOptions"] == {"mode": "token"}


def test_each_process_has_a_worker_with_its_resources() -> None:
    words = JOB["spec"]["entrypoint"].split()
    # KubeRay hands it to a shell of another pod first.
    assert shlex.join(words) == JOB["spec"]["entrypoint"]
    assert words[:5] == ["with-secrets", "python3", "-m", "snap2caption", "train"]
    recipe = load_recipe(locate_recipe(words[6], ROOT / "configs"), words[7:])
    launcher = recipe.launcher
    assert (launcher.kind, launcher.address) == ("ray", "auto")
    assert WORKERS["replicas"] == WORKERS["minReplicas"] == WORKERS["maxReplicas"] == launcher.processes
    (container,) = WORKERS["template"]["spec"]["containers"]
    limits = container["resources"]["limits"]
    assert int(limits["nvidia.com/gpu"]) == launcher.resources["GPU"]
    assert int(limits["cpu"]) >= launcher.resources["CPU"]
    assert CLUSTER["headGroupSpec"]["rayStartParams"]["num-gpus"] == "0"
    assert launcher.checkpoints
    recipe.share_of_batch(launcher.processes or 0)


def test_its_nodes_are_asked_without_a_program_of_the_image() -> None:
    found = find_spec("ray")
    assert found
    assert found.origin
    folder = Path(found.origin).parent
    public = (folder / "dashboard" / "http_server_agent.py").read_text(encoding="utf-8")
    port = re.search(
        r"DEFAULT_DASHBOARD_AGENT_LISTEN_PORT = (\d+)", (folder / "_private" / "ray_constants.py").read_text()
    )
    assert port
    pods = [CLUSTER["headGroupSpec"]["template"], WORKERS["template"]]
    for container in [pod["spec"]["containers"][0] for pod in pods]:
        for probe in ("livenessProbe", "readinessProbe"):
            asked = container[probe]["httpGet"]
            # It answers without the token.
            assert f'"{asked["path"]}",' in public.partition("PUBLIC_EXACT_PATHS = [")[2].partition("]")[0]
            assert asked["port"] == int(port[1])


def test_it_goes_on_after_a_loss_and_leaves_nothing_behind() -> None:
    spec = JOB["spec"]
    assert spec["backoffLimit"] > 0
    assert spec["shutdownAfterJobFinishes"] is True
    assert spec["activeDeadlineSeconds"] == 3 * 24 * 3600
