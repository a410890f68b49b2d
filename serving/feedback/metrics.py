"""Prometheus metrics of feedback."""

from prometheus_client import Counter, Gauge, Histogram

from serving.observability.metrics import observe_rating
from snap2caption.feedback import Feedback

FEEDBACK = Counter("snap2caption_feedback_total", "Feedback accepted, by outcome.", ["outcome"])
REFUSALS = Counter("snap2caption_feedback_refusals_total", "Feedback refused, by reason.", ["reason"])
ERASURES = Counter("snap2caption_feedback_erasures_total", "Erasure requests, by scope.", ["what"])
DELIVERIES = Counter(
    "snap2caption_feedback_deliveries_total", "Operations in the feedback store, by outcome.", ["outcome"]
)
OUTBOX_DEPTH = Gauge("snap2caption_feedback_spool", "Entries that wait for the feedback store, by kind.", ["what"])
OUTBOX_OLDEST = Gauge("snap2caption_feedback_spool_oldest_seconds", "How long the oldest of these entries has waited.")
OUTBOX_BYTES = Gauge("snap2caption_feedback_spool_bytes", "Bytes that wait for the feedback store.")
OUTBOX_LIMIT = Gauge(
    "snap2caption_feedback_spool_limit_bytes",
    "Bytes that may wait for the feedback store; further feedback is refused.",
)
KEEP_FAILURES = Counter(
    "snap2caption_feedback_keep_failures_total", "Requests that could not be kept for feedback because of disk errors."
)
RATINGS = Counter(
    "snap2caption_feedback_ratings_total", "Ratings, by the model that wrote the caption.", ["model_version", "rating"]
)
VERDICTS = Counter(
    "snap2caption_feedback_verdicts_total",
    "Verdicts of creators on captions: accepted (rated 4 or 5, not edited), edited, or rejected.",
    ["model_version", "tone", "verdict"],
)
EDIT_DISTANCE = Histogram(
    "snap2caption_feedback_edit_distance",
    "Levenshtein distance between the generated and the edited caption, divided by the length of the longer one.",
    ["model_version"],
    buckets=(0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1),
)

for _metric, _values in (
    (FEEDBACK, ("accepted", "repeated")),
    (REFUSALS, ("busy", "disk_failed", "disk_full", "spool_full")),
    (ERASURES, ("feedback", "creator")),
    (DELIVERIES, ("stored", "erased", "failed")),
    (OUTBOX_DEPTH, ("feedback", "erasure")),
):
    for _value in _values:
        _metric.labels(_value)

_MAX_VERSIONS = 20
"""Model versions with labels of their own in one process; each has about a dozen time series."""

_versions: set[str] = set()


def observe(feedback: Feedback) -> None:
    """Count a feedback in the metrics."""
    version = _label(feedback.model_version)
    if feedback.rating is not None:
        RATINGS.labels(version, str(feedback.rating)).inc()
        if feedback.model_version is not None:
            observe_rating(feedback.model_version, feedback.rating)
    if feedback.shown is not None and feedback.verdict is not None:
        VERDICTS.labels(version, feedback.tone or "none", feedback.verdict).inc()
    if feedback.edit_distance is not None:
        EDIT_DISTANCE.labels(version).observe(feedback.edit_distance)


def _label(version: str | None) -> str:
    if version is None:
        return "none"
    if len(_versions) < _MAX_VERSIONS:
        _versions.add(version)
    return version if version in _versions else "other"
