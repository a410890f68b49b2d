"""MLflow with accounts, as the operations page sets it up for a team: who may move the champion, and who may not."""

import os
import secrets
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from peft import LoraConfig, get_peft_model
from tiny import BASE, LANGUAGE_LAYERS

from demo.stack.ports import HOST, Ports
from demo.stack.service import Service
from demo.stack.stack import Stack
from serving.models.adapter_cache import AdapterCache
from serving.models.trust import TrustPolicy
from snap2caption.errors import UserError
from snap2caption.registry.client import CHAMPION, PREVIOUS
from snap2caption.settings import Settings
from snap2caption.vlm import load, quieten_peft
from training.gate.promotion import open_registry, promote, rollback
from training.tracking.runs import RunLog, connect

pytestmark = pytest.mark.integration

As = Callable[[str | None], None]


@dataclass(frozen=True)
class Accounts:
    """An MLflow server, and the passwords of its accounts."""

    uri: str
    passwords: dict[str, str]


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Accounts]:
    folder = tmp_path_factory.mktemp("mlflow-auth")
    port = Ports(folder / "ports.json").get("mlflow")
    uri, passwords = (
        f"http://{HOST}:{port}",
        {name: secrets.token_urlsafe() for name in ("admin", "trainer", "serving")},
    )
    configuration = folder / "basic_auth.ini"
    configuration.write_text(
        f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{folder / 'auth.db'}\nadmin_username = admin\n"
        # A password's check is slow on purpose, and each request has one.
        "auth_cache_ttl_seconds = 600\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    service = Service(
        name="mlflow",
        command=(
            sys.executable, "-m", "mlflow", "server", f"--host={HOST}", f"--port={port}", "--workers=1", "--app-name=basic-auth",
            f"--backend-store-uri=sqlite:///{folder / 'mlflow.db'}", f"--artifacts-destination={(folder / 'artifacts').as_uri()}",
        ),
        environment={
            **os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_AUTH_CONFIG_PATH": str(configuration), "MLFLOW_AUTH_ADMIN_PASSWORD": passwords["admin"],
            "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_urlsafe(),
        },
        ready_url=f"{uri}/health",
    )  # fmt: skip
    with Stack(folder) as stack:
        stack.start([service])
        for name in ("trainer", "serving"):
            account = {"username": name, "password": passwords[name]}
            httpx.post(
                f"{uri}/api/2.0/mlflow/users/create", json=account, auth=("admin", passwords["admin"])
            ).raise_for_status()
        yield Accounts(uri, passwords)


@pytest.fixture
def acting(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> As:
    """Return what makes all that follows be asked under an account; None: under none."""

    def act(name: str | None) -> None:
        if name is None:
            monkeypatch.delenv("MLFLOW_TRACKING_USERNAME", raising=False)
            monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD", raising=False)
            return
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", name)
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", accounts.passwords[name])

    return act


def test_only_who_trains_and_promotes_can_move_the_champion(
    accounts: Accounts, acting: As, models_dir: Path, tmp_path: Path
) -> None:
    installation = Settings(state_dir=tmp_path, models_dir=models_dir, mlflow_tracking_uri=accounts.uri)
    registry = open_registry(installation)
    acting("trainer")
    runs = [train(installation, tmp_path / str(number) / "adapter") for number in range(2)]
    first, second = [promote(run, installation, force=True) for run in runs]
    assert (registry.by_alias(CHAMPION), registry.by_alias(PREVIOUS)) == (second, first)
    assert second.adapter_sha256 is not None

    acting("serving")
    assert registry.by_alias(CHAMPION) == second
    adapter = AdapterCache(registry, tmp_path).fetch(second)
    TrustPolicy(models_dir).check(registry.name, second, adapter)
    for name in ("serving", None):
        acting(name)
        for attempt in attempts(installation, runs[0]).values():
            with pytest.raises(UserError, match=r"Permission denied|not authenticated|forbidden|403|401"):
                attempt()
    stolen = f"{accounts.uri}/api/2.0/mlflow-artifacts/artifacts/0/victim"
    assert httpx.put(stolen, content=b"weights").status_code == 401
    assert httpx.put(stolen, content=b"weights", auth=("serving", accounts.passwords["serving"])).status_code == 403

    acting("trainer")
    assert (registry.by_alias(CHAMPION), registry.by_alias(PREVIOUS)) == (second, first)
    assert registry.by_alias(CHAMPION) == second
    assert rollback(installation) == first


def attempts(installation: Settings, run: str) -> dict[str, Callable[[], Any]]:
    """Return all ways to put another model into service."""
    registry = open_registry(installation)
    name = registry.name
    return {
        "promote": lambda: promote(run, installation, force=True),
        "roll back": lambda: rollback(installation),
        "set the alias": lambda: registry._set_alias(CHAMPION, 1),
        "remove the alias": lambda: registry._ask(lambda client: client.delete_registered_model_alias(name, CHAMPION)),
        "another digest": lambda: registry._ask(
            lambda client: client.set_model_version_tag(name, "2", "adapter_sha256", "0" * 64)
        ),
        "another version": lambda: registry._ask(
            lambda client: client.create_model_version(name, source="models:/m-0", run_id=run)
        ),
        "no version": lambda: registry._ask(lambda client: client.delete_model_version(name, "2")),
        "a decision": lambda: registry._ask(
            lambda client: client.create_model_version(f"{name}-champions", source=f"models:/{name}/1")
        ),
    }


def train(installation: Settings, folder: Path) -> str:
    """Log a run with an adapter as training does, and return it."""
    quieten_peft()
    vlm = load(BASE, installation.models_dir)
    torch.manual_seed(int(folder.parent.name))
    config = LoraConfig(r=4, target_modules=LANGUAGE_LAYERS, init_lora_weights=False, task_type="CAUSAL_LM")
    get_peft_model(vlm.model, config).save_pretrained(folder)
    tags = {"base": BASE, "base_revision": vlm.revision, "dataset_version": "d1", "dataset_uri": "file:///d1"}
    log = RunLog.start(connect(installation.mlflow_tracking_uri), "with accounts", tags)
    log.model(folder, BASE, vlm.revision)
    log.client.set_terminated(log.run_id)
    return log.run_id
