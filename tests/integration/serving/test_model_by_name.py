"""A model by name, untrained: without a registry, and beside one whose champion has the same base or another."""

from pathlib import Path

import patience
import pytest
from patience import until
from photos import real_photos
from service_process import environment, server
from tiny import BASE

from snap2caption.registry.client import CHAMPION, Registry
from snap2caption.settings import Settings

pytestmark = pytest.mark.integration

UNTRAINED = f"{BASE} (untrained)"
NAMED = {"SNAP2CAPTION_SERVING_MODEL": BASE}


def served(url: str) -> str:
    return str(patience.get(f"{url}/readyz").json().get("model_version"))


def test_a_service_without_a_registry_serves_the_named_model(installation: Settings, tmp_path: Path) -> None:
    alone = installation.model_copy(update={"mlflow_tracking_uri": "http://127.0.0.1:9"})
    with server(tmp_path, environment(alone) | NAMED) as url:
        ready = patience.get(f"{url}/readyz").json()
        assert ready["model_version"] == UNTRAINED
        # Nobody has set up a registry or a corpus, so neither is missing.
        assert (ready["registry"], ready["degraded"]) == (None, [])
        answer = patience.post(f"{url}/v1/generate-caption", files={"image": real_photos()[0].read_bytes()}).json()
        assert answer["model_version"] == UNTRAINED
        assert answer["caption"]


def test_a_champion_on_the_same_base_replaces_the_named_model(
    installation: Settings, two_versions: tuple[str, str], tmp_path: Path
) -> None:
    registry = Registry(installation.mlflow_tracking_uri, installation.registered_model)
    first = registry.resolve(two_versions[0]).version
    client = registry.client()
    client.delete_registered_model_alias(registry.name, CHAMPION)
    try:
        with server(tmp_path, environment(installation) | NAMED) as url:
            assert served(url) == UNTRAINED
            client.set_registered_model_alias(registry.name, CHAMPION, str(first))
            until(lambda: served(url) == f"{registry.name}/{first}")
    finally:
        client.set_registered_model_alias(registry.name, CHAMPION, str(first))


@pytest.mark.parametrize(
    "variables",
    [{"SNAP2CAPTION_SERVING_SWITCH_TO_CHAMPION": "false", **NAMED}, {"SNAP2CAPTION_SERVING_MODEL": "demo-base"}],
    ids=["switched off", "another base"],
)
def test_the_named_model_stays_beside_a_champion(
    installation: Settings, two_versions: tuple[str, str], tmp_path: Path, variables: dict[str, str]
) -> None:
    name = variables["SNAP2CAPTION_SERVING_MODEL"]
    folder = installation.models_dir / name
    if not folder.exists():
        folder.symlink_to(Settings().models_dir / name)
    with server(tmp_path, environment(installation) | variables) as url:
        assert served(url) == f"{name} (untrained)"
        if name == BASE:
            return
        # It has asked the registry, and ignored its champion.
        until(lambda: patience.get(f"{url}/readyz").json()["registry"] is not None)
        assert served(url) == f"{name} (untrained)"
