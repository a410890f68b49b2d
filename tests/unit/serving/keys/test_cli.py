import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from serving.keys.key_file import KeyFile
from serving.keys.keyring import Keyring
from serving.keys.store import digest_of
from snap2caption.__main__ import build_app
from snap2caption.errors import UserError

pytestmark = pytest.mark.unit

ANA = "a" * 64


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    return build_app()


@pytest.fixture
def run(app: typer.Typer, path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("SNAP2CAPTION_SERVING_KEY_FILE", str(path))

    def run(*command: str) -> Any:
        result = CliRunner().invoke(app, ["key", *command, "--json"])
        if result.exception:
            raise result.exception
        return json.loads(result.stdout)

    return run


def test_a_key_has_256_bits_is_shown_once_and_kept_as_a_digest(run: Any, path: Path) -> None:
    made = run("new", "--name", "phone", "--days", "30")
    assert re.fullmatch(r"s2c_[0-9A-Za-z_-]{43}", made["key"])
    (listed,) = run("list")
    assert listed == {name: value for name, value in made.items() if name != "key"}
    assert (listed["name"], listed["state"]) == ("phone", "valid")
    files = [*path.parent.iterdir()]
    kept = b"".join(file.read_bytes() for file in files)
    assert made["key"].encode() not in kept
    assert digest_of(made["key"].encode()).encode() in kept
    assert digest_of(made["key"].encode()) not in json.dumps(run("list"))


def test_nobody_else_may_read_the_file_whatever_the_umask(run: Any, path: Path) -> None:
    before = os.umask(0)
    try:
        run("new")
        assert {file.stat().st_mode & 0o077 for file in [path.parent, *path.parent.iterdir()]} == {0}
    finally:
        os.umask(before)


def test_a_creator_outlives_their_keys(run: Any, path: Path) -> None:
    first = run("new")
    second = run("new", "--creator", first["creator"])
    third = run("rotate", first["id"])
    assert first["creator"] == second["creator"] == third["creator"]
    assert re.fullmatch("[0-9a-f]{64}", first["creator"])
    ring = Keyring((), KeyFile(path))
    for made in (first, second, third):
        assert made["creator"] != digest_of(made["key"].encode())
        assert asyncio.run(ring.creator(digest_of(made["key"].encode()))) == first["creator"]
    run("rotate", third["id"], "--overlap-hours", "0")
    run("revoke", second["id"])
    assert [one["state"] for one in run("list", "--creator", first["creator"])] == [
        "valid",
        "revoked",
        "revoked",
        "valid",
    ]
    assert asyncio.run(ring.creator(digest_of(third["key"].encode()))) is None
    assert asyncio.run(ring.creator(digest_of(first["key"].encode()))) == first["creator"]
    # An unknown id is refused, because it would create a creator by mistake.
    with pytest.raises(UserError, match="There is no creator"):
        run("new", "--creator", ANA)


def test_a_rotated_key_is_good_for_as_long_as_the_one_before(run: Any) -> None:
    first = run("new", "--days", "10")
    again = run("rotate", first["id"])
    assert again["expires"] >= first["expires"]
    assert run("rotate", again["id"], "--days", "90")["expires"] > again["expires"]


@pytest.mark.parametrize("command", [("revoke", "none"), ("rotate", "none"), ("migrate",)])
def test_only_a_key_makes_the_file_that_closes_a_service(run: Any, path: Path, command: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match=r"There are no keys.*; \S+"):
        run(*command)
    assert run("list") == []
    assert not path.exists()


@pytest.mark.parametrize("command", [("revoke", "none"), ("rotate", "none")])
def test_a_key_that_is_none_is_one_sentence(run: Any, command: tuple[str, ...]) -> None:
    run("new")
    with pytest.raises(UserError, match="There is no key none"):
        run(*command)


@pytest.mark.parametrize("days", ["0", "36501", "999999999"])
def test_no_key_outlives_the_calendar(app: typer.Typer, run: Any, days: str) -> None:
    key = run("new", "--days", "36500")
    for command in (["new"], ["rotate", key["id"]]):
        assert CliRunner().invoke(app, ["key", *command, "--days", days]).exit_code == 2
    assert run("list") == [{name: value for name, value in key.items() if name != "key"}]


@pytest.mark.parametrize("hours", ["-1", "nan", "inf", "1e15"])
def test_an_overlap_is_a_time_that_ends(app: typer.Typer, run: Any, hours: str) -> None:
    key = run("new")
    assert CliRunner().invoke(app, ["key", "rotate", key["id"], "--overlap-hours", hours]).exit_code == 2
    assert [one["state"] for one in run("list")] == ["valid"]


def test_a_revoked_key_is_not_rotated(run: Any) -> None:
    key = run("new")
    run("revoke", key["id"])
    with pytest.raises(UserError, match="no longer valid"):
        run("rotate", key["id"])
