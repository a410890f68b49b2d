"""Canary metrics: latency, errors and ratings of champion and challenger, by model version."""

import dataclasses
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from creators import KEYS, creator, headers, metrics_headers, photo_of
from patience import until
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from etl.feedback.record_facts import read_record_facts
from etl.feedback.reporting.spooled_facts import SpooledFacts
from serving.app import build_app
from serving.engines.local.loader import LocalLoader
from serving.feedback.service import FeedbackService
from serving.models.manager import ModelManager, _bucket
from serving.models.served_model import ServedModel
from serving.models.trust import TrustPolicy
from serving.settings import ServingSettings
from serving.voice.repository import VoiceStore
from snap2caption.registry.client import Registry
from snap2caption.store import ObjectStore

pytestmark = pytest.mark.unit

CHAMPION, CHALLENGER = "canary/1", "canary/2"


class TwoModels(ModelManager):
    """The real models, with two that are there already and a registry that is not followed."""

    def start(self) -> None:
        self._update_model_metrics()

    def close(self) -> None:
        pass

    def retire_challenger(self) -> None:
        self._challenger = None
        self._update_model_metrics()


@pytest.fixture
def bold() -> str:
    """The key of the creator who is sent to the challenger."""
    return min(KEYS, key=lambda key: _bucket(creator(key)))


@pytest.fixture
def shy() -> str:
    """The key of another creator."""
    return max(KEYS, key=lambda key: _bucket(creator(key)))


@pytest.fixture
def models(settings: ServingSettings, served: ServedModel, bold: str, tmp_path: Path) -> TwoModels:
    share = _bucket(creator(bold)) + 1e-9
    models = TwoModels(
        Registry("http://127.0.0.1:9", "none"), LocalLoader(settings, tmp_path), tmp_path, poll_seconds=1, trust=TrustPolicy(tmp_path),
        canary_share=share,
    )  # fmt: skip
    served.engine.version = CHAMPION
    other = type(served.engine)("Blue hour\n#sf", CHALLENGER)
    models._served, models._challenger = served, dataclasses.replace(served, engine=other)
    return models


@pytest.fixture
def client(
    settings: ServingSettings, store: ObjectStore, voices: VoiceStore, models: TwoModels
) -> Iterator[TestClient]:
    app = build_app(settings, models.current, models, feedback_service=FeedbackService(settings, store, voices))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def ask(client: TestClient, key: str, **options: str) -> dict[str, str]:
    data = {"keep_for_feedback": "true", **options}
    files = {"image": photo_of("teal")}
    return dict(client.post("/v1/generate-caption", files=files, data=data, headers=headers(key)).json())


def rate(client: TestClient, key: str, request_id: str, rating: int) -> None:
    answer = client.post("/v1/feedback", json={"request_id": request_id, "rating": rating}, headers=headers(key))
    assert answer.status_code == 202, answer.text


def series(client: TestClient, key: str) -> dict[str, dict[str, float]]:
    """Return the samples that tell of one model, by model."""
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(client.get("/metrics", headers=metrics_headers()).text):
        for sample in family.samples:
            if sample.name.startswith("snap2caption_model_") and "le" not in sample.labels and "model" in sample.labels:
                name = sample.labels.get("role", sample.name.removeprefix("snap2caption_model_"))
                found.setdefault(sample.labels["model"], {})[name] = sample.value
    return found


def test_champion_and_challenger_are_compared(client: TestClient, models: TwoModels, bold: str, shy: str) -> None:
    for key, version, ratings in ((shy, CHAMPION, (2, 3)), (bold, CHALLENGER, (5, 4, 5))):
        for rating in ratings:
            answer = ask(client, key)
            assert answer["model_version"] == version
            rate(client, key, answer["request_id"], rating)
    # Without a voice, because the captions that the creator rated well are part of theirs by now.
    ask(client, bold, voice="")
    assert models._challenger
    models._challenger.engine.poison = models._challenger.engine.prompts[-1]
    assert "caption" not in ask(client, bold, voice="")
    told = series(client, shy)
    assert (told[CHAMPION]["ratings_sum"], told[CHAMPION]["ratings_count"]) == (5, 2)
    assert (told[CHALLENGER]["ratings_sum"], told[CHALLENGER]["ratings_count"]) == (14, 3)
    assert (told[CHAMPION]["seconds_count"], told[CHALLENGER]["seconds_count"]) == (2, 4)
    assert told[CHAMPION]["errors_total"] == 0
    assert told[CHALLENGER]["errors_total"] == 1
    assert (told[CHAMPION]["champion"], told[CHALLENGER]["challenger"]) == (1, 1)


def test_a_creator_rates_a_caption_once(
    client: TestClient, models: TwoModels, store: ObjectStore, bold: str, shy: str
) -> None:
    def counted(version: str) -> tuple[float, float]:
        told = series(client, shy).get(version, {})
        return told.get("ratings_count", 0), told.get("ratings_sum", 0)

    before = {version: counted(version) for version in (CHAMPION, CHALLENGER)}
    assert models._challenger
    models._challenger.engine.texts = ["Blue hour\n#sf", "Blue minute\n#sf"]
    answer = ask(client, bold, variants="2")
    for rating in (1, *[5] * 19):
        rate(client, bold, answer["request_id"], rating)
    other = {"request_id": answer["request_id"], "variant": 1, "rating": 4}
    assert client.post("/v1/feedback", json=other, headers=headers(bold)).status_code == 202
    rate(client, shy, ask(client, shy)["request_id"], 3)
    # Only the first of the twenty ratings counts, and the rating of the other variant.
    new = {
        version: (counted(version)[0] - before[version][0], counted(version)[1] - before[version][1])
        for version in before
    }
    assert new == {CHALLENGER: (2, 5), CHAMPION: (1, 3)}
    until(lambda: len(list(store.list("records/"))) == 22)
    # Of the stored ratings, the latest counts.
    with closing(SpooledFacts(read_record_facts(store, ()))) as facts:
        assert sorted(one.rating for one in facts.rated_once() if one.rating) == [3, 4, 5]


def test_a_late_rating_brings_no_series_back(client: TestClient, models: TwoModels, bold: str) -> None:
    answer = ask(client, bold)
    assert answer["model_version"] == CHALLENGER
    models.retire_challenger()
    rate(client, bold, answer["request_id"], 5)
    assert CHALLENGER not in series(client, bold)
