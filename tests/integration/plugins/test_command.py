"""Operators run real commands in processes of their own."""

import logging
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from airflow.sdk.exceptions import AirflowException
from archives import zip_of
from patience import LONGEST, until

from demo.stack import Stack
from demo.stack.ports import HOST, Ports
from demo.stack.services.files import files
from plugins.operators.command import CommandOperator
from snap2caption.runtime.telemetry import LIBRARIES

pytestmark = pytest.mark.integration

CONTENT = zip_of(b"0123456789")


@pytest.fixture
def operator() -> CommandOperator:
    return CommandOperator(task_id="task")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("files")
    service, address = files(folder / "corpus", Ports(folder / "ports.json"))
    (folder / "corpus" / "a.zip").write_bytes(CONTENT)
    with Stack(folder) as stack:
        stack.start([service])
        yield address


def test_the_result_is_the_commands_document(operator: CommandOperator, address: str, tmp_path: Path) -> None:
    result = operator.run("extract", f"{address}/a.zip", out=tmp_path)
    assert result == operator.result == {"path": str(tmp_path / "a.zip")}
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_a_failure_is_the_commands_sentence(
    operator: CommandOperator, address: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.INFO),
        pytest.raises(AirflowException, match=r"error: The server has no file at .*b\.zip \(404\)"),
    ):
        operator.run("extract", f"{address}/b.zip", out=tmp_path)


def test_a_killed_task_takes_its_command_along(operator: CommandOperator, tmp_path: Path) -> None:
    def family() -> list[psutil.Process]:
        return [child for child in psutil.Process().children(recursive=True) if child.pid not in before]

    before = {child.pid for child in psutil.Process().children(recursive=True)}
    failures: list[Exception] = []

    def run(url: str) -> None:
        try:
            operator.run("extract", url, out=tmp_path)
        except AirflowException as error:
            failures.append(error)

    # A server that takes the request and never answers.
    with socket.create_server((HOST, 0)) as server:
        task = threading.Thread(target=run, args=(f"http://{HOST}:{server.getsockname()[1]}/a.zip",))
        task.start()
        server.settimeout(LONGEST)
        connection, _ = server.accept()
        with connection:
            assert {"aria2c"} <= {process.name() for process in family()}
            operator.on_kill()
            task.join(LONGEST)
    assert not task.is_alive()
    assert len(failures) == 1
    until(lambda: family() == [], family)


def test_the_command_does_not_see_airflows_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    from plugins.operators.command import environment

    monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://s3")
    found = environment()
    assert "secret" not in found.values()
    assert found["AWS_ENDPOINT_URL"] == "http://s3"
    assert found.items() >= LIBRARIES.items()
    assert found["PATH"] == os.environ["PATH"]
