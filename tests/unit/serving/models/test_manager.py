"""Canary routing by the model manager; swaps are tested against a real registry in ``tests/integration``."""

from pathlib import Path

import pytest

from serving.engines.local.loader import LocalLoader
from serving.models.manager import ModelManager
from serving.models.served_model import ServedModel
from serving.models.trust import TrustPolicy
from serving.settings import ServingSettings
from snap2caption.registry.client import Registry

pytestmark = pytest.mark.unit


def test_the_challenger_gets_always_the_same_creators(served: ServedModel, tmp_path: Path) -> None:
    models = ModelManager(
        Registry("http://127.0.0.1:9", "none"), LocalLoader(ServingSettings(), tmp_path), tmp_path,
        poll_seconds=1, trust=TrustPolicy(tmp_path), canary_share=0.2,
    )  # fmt: skip
    challenger = ServedModel(served.engine, served.hashtags, served.version)
    models._served = served
    keys = [f"creator {number}" for number in range(2000)]
    assert all(models.choose(key) is served for key in keys)
    models._challenger = challenger
    chosen = {key for key in keys if models.choose(key) is challenger}
    assert 0.16 < len(chosen) / len(keys) < 0.24
    assert {key for key in keys if models.choose(key) is challenger} == chosen


def test_metrics_tell_of_loaded_models_alone() -> None:
    from serving.observability.metrics import MODEL_ERRORS, set_loaded_models

    for number in range(5):
        MODEL_ERRORS.labels(f"forgotten/{number}").inc()
    set_loaded_models({"forgotten/3": "champion"})
    models = {sample.labels["model"] for family in MODEL_ERRORS.collect() for sample in family.samples}
    assert models == {"forgotten/3"}
