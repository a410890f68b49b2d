"""The commands of the unit that mounts buckets, on a real S3 and a real Swift, as systemd would run them.

`make test-ansible` runs the unit itself.
"""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jinja2
import pytest
from patience import until

from snap2caption.settings import ROOT
from snap2caption.store.factory import open_store

pytestmark = pytest.mark.integration

ROLE = ROOT / "infra" / "ansible" / "roles" / "rclone"
SHARD = b"a shard of photos" * 1000


@pytest.fixture(params=["s3", "swift"])
def remote(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A store with a bucket, as one of rclone's remotes."""
    import hashlib

    environment: dict[str, str] = request.getfixturevalue(f"{request.param}_environment")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    open_store(f"{request.param}://mounted").put("000001.tar", SHARD, sha256=hashlib.sha256(SHARD).hexdigest())
    if request.param == "s3":
        keys = {
            "access_key_id": "AWS_ACCESS_KEY_ID",
            "secret_access_key": "AWS_SECRET_ACCESS_KEY",
            "endpoint": "AWS_ENDPOINT_URL",
        }
        return {"type": "s3", "provider": "Other"} | {name: environment[variable] for name, variable in keys.items()}
    keys = {"auth": "ST_AUTH", "user": "ST_USER", "key": "ST_KEY"}
    return {"type": "swift"} | {name: environment[variable] for name, variable in keys.items()}


def unit_commands(folder: Path) -> dict[str, list[list[str]]]:
    """Return the unit's commands by key, with the folders and programs of this machine."""
    text = (ROLE / "files" / "rclone@.service").read_text().replace("\\\n", " ")
    here = {
        "/usr/bin/rclone": str(Path(sys.executable).with_name("rclone")),
        "/mnt/object-store/%i": str(folder / "mounted"),
        "/etc/rclone": str(folder),
        "/var/cache/rclone/%i": str(folder / "cache"),
        "${REMOTE}": "store:mounted",
        "${CACHE_SIZE}": "1G",
    }
    for theirs, ours in here.items():
        assert theirs in text
        text = text.replace(theirs, ours)
    commands: dict[str, list[list[str]]] = {}
    for line in text.splitlines():
        key, _, command = line.partition("=")
        if key.startswith("Exec"):
            commands.setdefault(key, []).append(shlex.split(command.removeprefix("-")))
    return commands


@contextmanager
def started(commands: dict[str, list[list[str]]], mount: Path) -> Iterator[subprocess.Popen[bytes]]:
    for command in commands["ExecStartPre"]:
        subprocess.run(command, check=False)
    (command,) = commands["ExecStart"]
    with subprocess.Popen(command) as process:
        try:
            until(lambda: process.poll() is not None or os.path.ismount(mount))
            assert process.poll() is None
            yield process
        finally:
            process.terminate()


def test_a_killed_mount_is_cleared_and_mounted_again(remote: dict[str, str], tmp_path: Path) -> None:
    template = jinja2.Template((ROLE / "templates" / "rclone.conf.j2").read_text(), trim_blocks=True)
    (tmp_path / "rclone.conf").write_text(template.render(rclone_remotes={"store": remote}, ansible_managed="a test"))
    commands, mount = unit_commands(tmp_path), tmp_path / "mounted"
    shard = mount / "000001.tar"
    try:
        with started(commands, mount) as process:
            assert shard.read_bytes() == SHARD
            with pytest.raises(OSError, match="Read-only"):
                (mount / "new").write_bytes(b"")
            process.send_signal(signal.SIGKILL)
            process.wait()
        # What it leaves behind, and what nobody can mount on.
        with pytest.raises(OSError, match="Transport endpoint"):
            shard.read_bytes()
        with started(commands, mount):
            assert shard.read_bytes() == SHARD
    finally:
        for command in commands["ExecStopPost"]:
            subprocess.run(command, check=False)
    assert not os.path.ismount(mount)
