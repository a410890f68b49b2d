import json
import random
import socket
from pathlib import Path

import pytest

from demo.stack.ports import HOST, Ports, is_free

pytestmark = pytest.mark.unit


def test_a_name_keeps_its_port(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    first = Ports(file)
    wanted = {name: first.get(name) for name in ("a", "b", "c")}
    assert len(set(wanted.values())) == 3
    again = Ports(file)
    assert {name: again.get(name) for name in ("c", "b", "a")} == wanted


def test_a_port_that_somebody_took_is_given_up(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    port = Ports(file).get("a")
    with socket.create_server((HOST, port)):
        assert not is_free(port)
        other = Ports(file).get("a")
    assert other != port
    assert json.loads(file.read_text()) == {"a": other}


def test_a_port_whose_twin_for_grpc_is_taken_is_given_up(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    port = Ports(file).get("a")
    with socket.create_server((HOST, port + 10000)):
        assert Ports(file).get("a") != port


def test_a_damaged_memory_is_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    file.write_text("{")
    assert is_free(Ports(file).get("a"))


def test_a_seed_set_by_training_does_not_repeat_ports(tmp_path: Path) -> None:
    drawn = []
    for name in ("one", "other"):
        random.seed(1)
        ports = Ports(tmp_path / f"{name}.json")
        drawn.append([ports.get(service) for service in ("serving", "mlflow", "files")])
    assert drawn[0] != drawn[1]
