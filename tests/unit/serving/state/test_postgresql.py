from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest
from creators import photo_of
from databases import set_open
from patience import until
from pydantic import SecretStr
from starlette.testclient import TestClient

from serving.app import build_app
from serving.feedback.service import open_feedback_service
from serving.keys.store import KeyStore
from serving.models.served_model import ServedModel
from serving.settings import ServingSettings
from serving.state import threads
from serving.state.database import StateError
from serving.state.opening import open_database
from serving.state.tables import Section

pytestmark = [pytest.mark.unit, pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)]


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


def test_wrong_keys_count_over_all_replicas(database_url: SecretStr, served: ServedModel, tmp_path: Path) -> None:
    def replica(name: str) -> TestClient:
        folder = tmp_path / name
        settings = ServingSettings(cache_dir=folder, database_url=database_url, failed_keys_per_minute=10)
        return TestClient(build_app(settings, lambda: served))

    with replica("one") as one, replica("two") as two:
        wrong = {"X-API-Key": "wrong"}
        statuses = [client.get("/v1/voice", headers=wrong).status_code for client in (one, two) * 10]
        # Beyond ten a minute; more time may have passed than that allows.
        assert statuses[:10] == [401] * 10
        assert 429 in statuses[10:]


def test_a_server_that_hangs_holds_up_no_request(
    postgresql: str, database_url: SecretStr, served: ServedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ServingSettings(cache_dir=tmp_path, database_url=database_url)
    secret, _ = KeyStore(open_database(settings, Section.KEYS)).add("c" * 64)
    with TestClient(build_app(settings, lambda: served), headers={"X-API-Key": secret}) as client:
        assert client.get("/v1/voice").status_code == 200
        with psycopg.connect(postgresql) as connection:
            server = psutil.Process(connection.info.backend_pid).parent()
        assert server
        stopped = [server, *server.children()]
        monkeypatch.setattr(threads, "SECONDS", 0.2)
        # Some may have ended by themselves.
        for process in stopped:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        try:
            answer = client.get("/v1/voice")
        finally:
            monkeypatch.undo()
            for process in stopped:
                with suppress(psutil.NoSuchProcess):
                    process.resume()
        assert (answer.status_code, answer.json()["reason"]) == (503, "away")
        assert client.get("/healthz").status_code == 200
        until(lambda: client.get("/v1/voice").status_code == 200)


def test_no_message_has_the_password(database_url: SecretStr, tmp_path: Path) -> None:
    nobody = SecretStr("postgresql://someone:geheim@127.0.0.1:9/name")
    with pytest.raises(StateError, match=r"127\.0\.0\.1:9") as error:
        open_database(ServingSettings(database_url=nobody), Section.KEYS)
    assert "geheim" not in str(error.value)
    assert "geheim" not in repr(ServingSettings(database_url=nobody))
