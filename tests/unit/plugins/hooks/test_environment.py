import json

import pytest

from plugins.hooks.environment import LabelStudioHook, MlflowHook, StoreHook
from plugins.operators.command import environment

pytestmark = pytest.mark.unit


def connect(monkeypatch: pytest.MonkeyPatch, name: str, **connection: object) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(connection))


def test_s3_by_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"endpoint_url": "http://127.0.0.1:8333", "region_name": "us-east-1"}
    connect(monkeypatch, "SNAP2CAPTION_STORE", conn_type="aws", login="key", password="secret", extra=extra)
    assert StoreHook().environment() == {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:8333",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


@pytest.mark.parametrize(
    ("connection", "variables"),
    [
        (
            {"host": "http://swift/auth/v1.0", "login": "test:tester"},
            {"ST_AUTH": "http://swift/auth/v1.0", "ST_USER": "test:tester", "ST_KEY": "secret"},
        ),
        (
            {"extra": {"OS_AUTH_URL": "https://keystone/v3", "OS_USERNAME": "aisha"}},
            {"OS_AUTH_URL": "https://keystone/v3", "OS_USERNAME": "aisha", "OS_PASSWORD": "secret"},
        ),
        (
            {"extra": {"OS_AUTH_URL": "https://keystone/v3", "OS_APPLICATION_CREDENTIAL_ID": "7"}},
            {
                "OS_AUTH_URL": "https://keystone/v3",
                "OS_APPLICATION_CREDENTIAL_ID": "7",
                "OS_APPLICATION_CREDENTIAL_SECRET": "secret",
            },
        ),
    ],
)
def test_swift_by_a_connection(
    monkeypatch: pytest.MonkeyPatch, connection: dict[str, object], variables: dict[str, str]
) -> None:
    connect(monkeypatch, "OTHER_STORE", conn_type="swift", password="secret", **connection)
    assert StoreHook("other_store").environment() == variables


def test_mlflow_by_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "SNAP2CAPTION_MLFLOW", conn_type="http", host="https://mlflow.example", port=5000, login="ops")
    assert MlflowHook().environment() == {
        "SNAP2CAPTION_MLFLOW_TRACKING_URI": "https://mlflow.example:5000",
        "MLFLOW_TRACKING_USERNAME": "ops",
    }


def test_connections_come_before_the_workers_own_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of the worker")
    assert environment()["AWS_ACCESS_KEY_ID"] == "of the worker"
    connect(monkeypatch, "SNAP2CAPTION_STORE", conn_type="aws", login="of the connection", password="secret")
    found = environment()
    assert found["AWS_ACCESS_KEY_ID"] == "of the connection"
    assert not any(name.startswith("AIRFLOW_CONN_") for name in found)


def test_label_studio_by_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    assert LabelStudioHook().environment() == {}
    connect(monkeypatch, "SNAP2CAPTION_LABEL_STUDIO", conn_type="http", host="http://annotate", port=8081, password="t")
    variables = {"SNAP2CAPTION_LABEL_STUDIO_URL": "http://annotate:8081", "SNAP2CAPTION_LABEL_STUDIO_TOKEN": "t"}
    assert LabelStudioHook().environment() == variables
    assert variables.items() <= environment().items()
