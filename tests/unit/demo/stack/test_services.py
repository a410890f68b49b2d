import stat
import sys
from pathlib import Path

import pytest

from demo.stack.ports import Ports
from demo.stack.services.airflow import AirflowAccess, airflow
from demo.stack.services.label_studio import label_studio, label_studio_webhook
from demo.stack.services.seaweedfs import seaweedfs
from snap2caption.errors import UserError

pytestmark = pytest.mark.unit


def test_a_missing_binary_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="The SeaweedFS binary `weed` is missing; run `make install`"):
        seaweedfs(tmp_path, Ports(tmp_path / "ports.json"))


def test_keys_outlive_the_server_and_are_private(tmp_path: Path) -> None:
    service, client, console = seaweedfs(tmp_path, Ports(tmp_path / "ports.json"))
    _, again, console_again = seaweedfs(tmp_path, Ports(tmp_path / "ports.json"))
    assert (again, console_again) == (client, console)
    for name in ("seaweedfs.keys", "seaweedfs.key", "seaweedfs.crt"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    for secret in (client["AWS_SECRET_ACCESS_KEY"], console.password):
        assert secret not in " ".join(service.command)


def test_buckets_are_not_limited_by_the_free_disk_space(tmp_path: Path) -> None:
    service, _, _ = seaweedfs(tmp_path, Ports(tmp_path / "ports.json"))
    assert "-volume.max=1000" in service.command


def test_keys_from_before_the_console_had_a_password_are_kept(tmp_path: Path) -> None:
    (tmp_path / "seaweedfs.keys").write_text("access\nsecret\n")
    _, client, _ = seaweedfs(tmp_path, Ports(tmp_path / "ports.json"))
    assert (client["AWS_ACCESS_KEY_ID"], client["AWS_SECRET_ACCESS_KEY"]) == ("access", "secret")


def test_keys_that_a_killed_version_did_not_write_are_made(tmp_path: Path) -> None:
    (tmp_path / "seaweedfs.keys").touch()
    _, client, console = seaweedfs(tmp_path, Ports(tmp_path / "ports.json"))
    assert [len(one) for one in (client["AWS_ACCESS_KEY_ID"], client["AWS_SECRET_ACCESS_KEY"])] == [20, 40]
    assert len(console.password) == 32


def test_airflow_keeps_its_password_and_environment(tmp_path: Path) -> None:
    service, access = airflow(tmp_path, Ports(tmp_path / "ports.json"), {"AWS_ENDPOINT_URL": "http://s3"})
    _, again = airflow(tmp_path, Ports(tmp_path / "ports.json"), {})
    assert again == access
    assert service.environment["AWS_ENDPOINT_URL"] == "http://s3"
    assert list(service.files) == [tmp_path / "airflow" / "passwords.json"]


def test_airflow_does_not_take_our_packages_for_its_plugins(tmp_path: Path) -> None:
    """It would import each file of the folder by its bare name."""
    service, _ = airflow(tmp_path, Ports(tmp_path / "ports.json"), {})
    assert not Path(service.environment["AIRFLOW__CORE__PLUGINS_FOLDER"]).exists()


def test_label_studio_shows_no_secret_on_its_command_line(tmp_path: Path) -> None:
    client = {"AWS_ENDPOINT_URL": "http://s3", "AWS_ACCESS_KEY_ID": "key"}
    service, access = label_studio(tmp_path, Ports(tmp_path / "ports.json"), client)
    _, again = label_studio(tmp_path, Ports(tmp_path / "ports.json"), client)
    assert again == access
    assert stat.S_IMODE((tmp_path / "label-studio" / "secrets.json").stat().st_mode) == 0o600
    webhook = label_studio_webhook(access, AirflowAccess("http://airflow", "admin", "password", "webhook's"))
    for secret in (access.password, access.token, access.webhook_secret):
        assert secret not in " ".join((*service.command, *webhook.command))
    assert service.environment["LABEL_STUDIO_S3_ENDPOINT"] == "http://s3"
    assert webhook.environment["SNAP2CAPTION_AIRFLOW_URL"] == "http://airflow"


def test_label_studio_that_is_not_installed_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    with pytest.raises(UserError, match="run `make label-studio`"):
        label_studio(tmp_path, Ports(tmp_path / "ports.json"), {})
