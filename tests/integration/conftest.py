"""Real servers on loopback, started once for all integration tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import swift_server

from demo.stack.ports import Ports
from demo.stack.services.mlflow import mlflow
from demo.stack.services.seaweedfs import seaweedfs
from demo.stack.stack import Stack
from snap2caption.store import retry


@pytest.fixture(scope="session")
def server_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(scope="session")
def artifacts_dir(server_dir: Path) -> Path:
    """Where MLflow keeps artifacts."""
    return server_dir / "mlflow" / "artifacts"


@pytest.fixture(scope="session")
def tracking_uri(server_dir: Path) -> Iterator[str]:
    """A real MLflow server."""
    service, uri = mlflow(server_dir, Ports(server_dir / "ports.json"))
    with Stack(server_dir) as stack:
        stack.start([service])
        yield uri


@pytest.fixture(scope="session")
def s3_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A real S3 server, as the environment of its client."""
    folder = tmp_path_factory.mktemp("seaweedfs")
    service, environment, _ = seaweedfs(folder, Ports(folder / "ports.json"))
    with Stack(folder) as stack:
        stack.start([service])
        yield environment


@pytest.fixture
def short_waits_and_small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a store asked again at once, and files above 5 MiB sent in pieces."""
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.02)
    monkeypatch.setenv("SNAP2CAPTION_STORE_PIECE_MIB", "5")


@pytest.fixture(scope="session")
def swift_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A real OpenStack Swift, as the environment of its client."""
    with swift_server.run(tmp_path_factory.mktemp("swift"), token_life=86400) as environment:
        yield environment


@pytest.fixture(scope="module")
def forgetful_swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A real OpenStack Swift whose tokens are good for a second."""
    with swift_server.run(tmp_path_factory.mktemp("swift"), token_life=1) as environment:
        yield environment
