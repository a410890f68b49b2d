"""Logging in to a real Swift by the ways of Keystone v3.

Keystone itself is stood in for (keystone_server.py); its tokens are Swift's own.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import keystone_server
import patience
import pytest
import yaml
from keystone_server import Keystone, keystone
from patience import until

from snap2caption.store import StoreError, open_store

pytestmark = pytest.mark.integration

PASSWORD = {
    "OS_USERNAME": "aisha",
    "OS_PASSWORD": "secret",
    "OS_USER_DOMAIN_NAME": "Default",
    "OS_PROJECT_NAME": "CHI-251",
    "OS_PROJECT_DOMAIN_NAME": "Default",
    "OS_REGION_NAME": keystone_server.REGION,
    "OS_IDENTITY_API_VERSION": "3",
    "OS_INTERFACE": "public",
}
APPLICATION_CREDENTIAL = {
    "OS_AUTH_TYPE": "v3applicationcredential",
    "OS_APPLICATION_CREDENTIAL_ID": "0123456789abcdef",
    "OS_APPLICATION_CREDENTIAL_SECRET": "also secret",
    "OS_REGION_NAME": keystone_server.REGION,
    "OS_IDENTITY_API_VERSION": "3",
    "OS_INTERFACE": "public",
}
WITHOUT_TYPE = {name: value for name, value in APPLICATION_CREDENTIAL.items() if name != "OS_AUTH_TYPE"}
ONE = hashlib.sha256(b"one").hexdigest()


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """No credentials of OpenStack's, in no variable and no file."""
    for name in (
        "ST_AUTH",
        "ST_USER",
        "ST_KEY",
        "OS_CLOUD",
        "OS_CLIENT_CONFIG_FILE",
        *PASSWORD,
        *APPLICATION_CREDENTIAL,
    ):
        monkeypatch.delenv(name, raising=False)
    # The first file that is there counts.
    (tmp_path / "none.yaml").touch()
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "none.yaml"))
    return monkeypatch


@pytest.fixture
def identity(swift_environment: dict[str, str]) -> Iterator[Keystone]:
    with keystone(swift_environment) as found:
        yield found


def put_and_get() -> None:
    store = open_store("swift://logged-in/prefix")
    store.put("x", b"one", sha256=ONE)
    with store.get("x") as stream:
        assert stream.read() == b"one"
    store.delete("x")


@pytest.mark.parametrize(
    ("variables", "method"),
    [
        (PASSWORD, "password"),
        (APPLICATION_CREDENTIAL, "application_credential"),
        (WITHOUT_TYPE, "application_credential"),
    ],
)
def test_variables_as_an_openrc_file_sets_them(
    identity: Keystone, clean_environment: pytest.MonkeyPatch, variables: dict[str, str], method: str
) -> None:
    for name, value in (variables | {"OS_AUTH_URL": identity.url}).items():
        clean_environment.setenv(name, value)
    put_and_get()
    assert identity.methods == [method]


@pytest.mark.parametrize("method", ["password", "application_credential"])
def test_clouds_yaml(identity: Keystone, clean_environment: pytest.MonkeyPatch, tmp_path: Path, method: str) -> None:
    variables = PASSWORD if method == "password" else APPLICATION_CREDENTIAL
    auth = {
        name.removeprefix("OS_").lower(): value
        for name, value in variables.items()
        if name.startswith(("OS_USER", "OS_PASS", "OS_PROJECT", "OS_APPLICATION"))
    }
    cloud = {"auth": auth | {"auth_url": identity.url}, "region_name": keystone_server.REGION}
    if method == "application_credential":
        cloud["auth_type"] = "v3applicationcredential"
    (tmp_path / "clouds.yaml").write_text(yaml.safe_dump({"clouds": {"chi_uc": cloud, "another": {}}}))
    clean_environment.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    clean_environment.setenv("OS_CLOUD", "chi_uc")
    put_and_get()
    assert identity.methods == [method]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"OS_PASSWORD": "wrong"}, "refused the credentials"),
        ({"OS_REGION_NAME": "CHI@TACC"}, "no object store in this region"),
        ({"OS_CLOUD": "nowhere"}, "No credentials for Swift .*nowhere"),
        ({"OS_AUTH_TYPE": "v3nothing"}, "No credentials for Swift"),
        ({"OS_AUTH_URL": ""}, "No credentials for Swift"),
    ],
)
def test_what_is_wrong_with_them_is_one_sentence(
    identity: Keystone, clean_environment: pytest.MonkeyPatch, changed: dict[str, str], sentence: str
) -> None:
    for name, value in (PASSWORD | {"OS_AUTH_URL": identity.url} | changed).items():
        clean_environment.setenv(name, value)
    with pytest.raises(StoreError, match=sentence):
        open_store("swift://logged-in/prefix").exists("x")


@pytest.mark.usefixtures("clean_environment")
def test_no_credentials_at_all() -> None:
    with pytest.raises(StoreError, match="No credentials for Swift"):
        open_store("swift://container/p").exists("x")


def test_a_token_that_runs_out_is_replaced(
    forgetful_swift: dict[str, str], clean_environment: pytest.MonkeyPatch
) -> None:
    """Keystone promised an hour; Swift forgets the token after a second."""
    with keystone(forgetful_swift) as identity:
        for name, value in (PASSWORD | {"OS_AUTH_URL": identity.url}).items():
            clean_environment.setenv(name, value)
        store = open_store("swift://forgetful/prefix")
        store.put("x", b"one", sha256=ONE)
        account = store._account  # type: ignore[attr-defined]
        address, token = f"{account._url}/forgetful", account._session.get_token()
        until(lambda: patience.request("HEAD", address, headers={"X-Auth-Token": token}).status_code == 401)
        assert account._session.get_token() == token
        large = bytes(3_000_000)
        store.put("y", large, sha256=hashlib.sha256(large).hexdigest())
        assert store.exists("y")
        assert len(identity.methods) > 1
