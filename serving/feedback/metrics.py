"""What Prometheus scrapes of feedback."""

from prometheus_client import Counter, Gauge, Histogram

from serving.observability.metrics import observe_rating
from snap2caption.feedback import Feedback

FEEDBACK = Counter("snap2caption_feedback_total", "Feedback sent, by what became of it.", ["outcome"])
REFUSALS = Counter("snap2caption_feedback_refusals_total", "Feedback refused, by reason.", ["reason"])
ERASURES = Counter("snap2caption_feedback_erasures_total", "Erasures asked for, by what of.", ["what"])
DELIVERIES = Counter(
    "snap2caption_feedback_deliveries_total", "What was done in the store of feedback, or failed there.", ["outcome"]
)
OUTBOX_DEPTH = Gauge("snap2caption_feedback_spool", "What waits for the store of feedback.", ["what"])
OUTBOX_OLDEST = Gauge("snap2caption_feedback_spool_oldest_seconds", "How long the oldest of it has waited.")
KEEP_FAILURES = Counter(
    "snap2caption_feedback_keep_failures_total", "Requests that could not be kept for feedback: the disk."
)
RATINGS = Counter(
    "snap2caption_feedback_ratings_total", "Ratings, by the model that wrote the caption.", ["model_version", "rating"]
)
VERDICTS = Counter(
    "snap2caption_feedback_verdicts_total",
    "What creators made of captions: accepted (rated 4 or 5, not edited), edited, or rejected.",
    ["model_version", "tone", "verdict"],
)
EDIT_DISTANCE = Histogram(
    "snap2caption_feedback_edit_distance",
    "Levenshtein distance between the caption shown and the one kept, over the longer one's length.",
    ["model_version"],
    buckets=(0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1),
)

_MOST_VERSIONS = 20
"""Model versions that are told apart in one process; each is some dozen time series."""

_versions: set[str] = set()


def observe(feedback: Feedback) -> None:
    """Count what a creator said."""
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
    if len(_versions) < _MOST_VERSIONS:
        _versions.add(version)
    return version if version in _versions else "other"
