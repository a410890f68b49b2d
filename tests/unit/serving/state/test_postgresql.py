from pathlib import Path

import psycopg
import pytest
from creators import photo_of
from patience import until
from pydantic import SecretStr
from starlette.testclient import TestClient

from serving.app import build_app
from serving.feedback.service import open_feedback_service
from serving.keys.store import KeyStore
from serving.models.served_model import ServedModel
from serving.settings import ServingSettings
from serving.state.database import StateError
from serving.state.opening import open_database
from serving.state.tables import Section

pytestmark = [pytest.mark.unit, pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)]


def set_open(server: str, database: str, *, to: bool) -> None:
    """Let nobody use a database, as if its server were away, or let everyone again."""
    with psycopg.connect(server.replace("+psycopg2", ""), autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS {to}")
        if not to:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database])


def test_while_it_is_away_all_is_refused_and_nothing_is_lost(
    postgresql: str, database_url: SecretStr, served: ServedModel, tmp_path: Path, photo: bytes
) -> None:
    settings = ServingSettings(cache_dir=tmp_path, feedback_dir=tmp_path / "feedback", database_url=database_url)
    secret, _ = KeyStore(open_database(settings, Section.KEYS)).add("c" * 64)
    name = database_url.get_secret_value().rpartition("/")[2]
    feedback_service = open_feedback_service(settings, (tmp_path / "store").as_uri())
    app = build_app(settings, lambda: served, feedback_service=feedback_service)
    with TestClient(app, headers={"X-API-Key": secret}) as client:

        def send(number: int) -> tuple[int, str]:
            data, files = {"rating": "5", "caption": "seen"}, {"image": photo_of("red")}
            answer = client.post("/v1/feedback", data=data, files=files, headers={"Idempotency-Key": str(number)})
            return answer.status_code, answer.json().get("reason", "")

        assert send(1) == (202, "")
        assert client.get("/readyz").json()["database"]["reachable"]
        set_open(postgresql, name, to=False)
        assert send(2) == (503, "away")
        assert client.post("/generate-caption", files={"image": photo}).json()["reason"] == "away"
        assert client.get("/v1/voice").json()["reason"] == "away"
        until(lambda: client.get("/readyz").status_code == 503)
        body = client.get("/readyz").json()
        assert (body["reason"], body["database"]["reachable"]) == ("away", False)
        assert client.get("/healthz").status_code == 200, "a restart would not help"
        with pytest.raises(StateError, match="check the server and DATABASE_URL") as error:
            open_database(settings, Section.KEYS)
        assert error.value.away
        set_open(postgresql, name, to=True)
        until(lambda: client.get("/readyz").status_code == 200)
        assert send(2) == (202, "")
        assert client.post("/generate-caption", files={"image": photo}).status_code == 200
        store = tmp_path / "store"
        until(lambda: len([*store.glob("records/**/*.json")]) == 2)
