import platform
from importlib.metadata import version

import pytest
from prometheus_client import REGISTRY, Counter, Gauge, Histogram

from serving.captioning.post_processing import usable_drafts
from serving.engines.base import GenerationResult
from serving.feedback.metrics import DELIVERIES, ERASURES, FEEDBACK, OUTBOX_DEPTH
from serving.feedback.metrics import REFUSALS as FEEDBACK_REFUSALS
from serving.http.schemas import Options, Timing
from serving.models.rejections import Rejections
from serving.models.trust import DistrustReason
from serving.observability.metrics import (
    CHAMPION_REFUSED,
    MODEL_ERRORS,
    MODEL_RATINGS,
    MODEL_SECONDS,
    REFUSALS,
    REQUESTS,
    STAGE,
    STAGES,
    SWAPS,
    set_loaded_models,
)

pytestmark = pytest.mark.unit


def values(metric: Counter | Gauge | Histogram) -> set[str]:
    """The values of a metric's one label."""
    (family,) = metric.collect()
    return {value for sample in family.samples for name, value in sample.labels.items() if name != "le"}


@pytest.mark.parametrize(
    ("metric", "known"),
    [
        (REQUESTS, {"200", "503", "504"}),
        (REFUSALS, {"queue_full", "deadline", "image_truncated", "rate_limit"}),
        (SWAPS, {"done", "returned", "refused"}),
        (FEEDBACK, {"accepted", "repeated"}),
        (FEEDBACK_REFUSALS, {"spool_full", "disk_full"}),
        (DELIVERIES, {"stored", "erased", "failed"}),
        (ERASURES, {"feedback", "creator"}),
        (OUTBOX_DEPTH, {"feedback", "erasure"}),
    ],
)
def test_label_values_exist_from_the_start(metric: Counter | Gauge, known: set[str]) -> None:
    assert known <= values(metric)


def test_stages_are_those_of_the_answer() -> None:
    assert set(STAGES) == {*Timing.model_fields} <= values(STAGE)


def test_a_model_has_its_series_as_soon_as_it_is_loaded() -> None:
    set_loaded_models({"fresh/1": "champion", "fresh/2": "challenger"})
    for metric in (MODEL_SECONDS, MODEL_ERRORS, MODEL_RATINGS):
        assert values(metric) == {"fresh/1", "fresh/2"}


def test_every_reason_of_distrust_exists_from_the_start() -> None:
    Rejections(1.0)
    assert values(CHAMPION_REFUSED) == {*DistrustReason}


def test_the_build_is_told() -> None:
    assert REGISTRY.get_sample_value("snap2caption_build_info", build_labels()) == 1


def build_labels() -> dict[str, str]:

    return {"version": version("snap2caption"), "python": platform.python_version()}


def test_the_share_of_unsafe_captions_has_a_denominator() -> None:
    def count(name: str) -> float:
        return REGISTRY.get_sample_value(f"snap2caption_{name}_total", {"kind": "caption"}) or 0

    checked, unsafe = count("checked"), count("unsafe")
    usable_drafts([GenerationResult(("A quiet bay.", "What a shit view."), "A bay.", 5)], Options())
    assert (count("checked") - checked, count("unsafe") - unsafe) == (2, 1)
