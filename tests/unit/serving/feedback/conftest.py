from collections.abc import Iterator
from pathlib import Path

import pytest
from creators import KEYS, TOKEN, creator
from pydantic import SecretStr
from starlette.testclient import TestClient

from serving.app import build_app
from serving.feedback.service import FeedbackService
from serving.models.served_model import ServedModel
from serving.settings import ServingSettings
from serving.state.database import Database
from serving.state.opening import open_database
from serving.state.tables import Section
from serving.voice.repository import VoiceStore
from snap2caption.store import ObjectStore, open_store, retry


@pytest.fixture
def settings(tmp_path: Path, database_url: SecretStr | None) -> ServingSettings:
    return ServingSettings(
        cache_dir=tmp_path / "cache",
        feedback_dir=tmp_path / "feedback",
        database_url=database_url,
        voice_file=tmp_path / "voice.sqlite",
        max_pixels=1_000_000,
        max_body_bytes=1_000_000,
        api_key_hashes=tuple(creator(key) for key in KEYS),
        metrics_token_hash=creator(TOKEN),
    )


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store((tmp_path / "store").as_uri())


@pytest.fixture
def voices(settings: ServingSettings) -> VoiceStore:
    return VoiceStore(open_database(settings, Section.VOICES))


@pytest.fixture
def client(
    settings: ServingSettings, store: ObjectStore, voices: VoiceStore, served: ServedModel
) -> Iterator[TestClient]:
    app = build_app(settings, lambda: served, feedback_service=FeedbackService(settings, store, voices))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """A store where nobody listens."""
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.001)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    return open_store("s3://bucket/feedback")


@pytest.fixture
def database(settings: ServingSettings) -> Iterator[Database]:
    opened = open_database(settings, Section.FEEDBACK)
    yield opened
    opened.close()
