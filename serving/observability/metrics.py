"""Prometheus metrics of the captioning service.

Label values that are known exist from the start, at 0: Prometheus can't see the first increase of a new time series.
"""

import platform
from importlib.metadata import version
from typing import Final

from prometheus_client import Counter, Gauge, Histogram, Info

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10)

STATUSES: Final = ("200", "400", "401", "408", "413", "415", "422", "429", "499", "500", "503", "504")
"""HTTP statuses of caption requests."""

REFUSAL_REASONS: Final = (
    "away", "bad_base64", "bad_key", "bad_token", "body_too_large", "busy", "deadline", "disk_failed",
    "disk_full", "engine_away", "erased", "foreign_host", "foreign_origin", "image_not_allowed",
    "image_too_large", "image_too_many_parts", "image_too_narrow", "image_truncated",
    "image_unreadable", "internal", "invalid", "key_reused", "malformed", "method_not_allowed",
    "moderation", "no_image", "no_model", "no_room", "no_subject", "no_such_file", "not_found", "page_not_built", "preflight",
    "prompt_too_long", "queue_full", "rate_limit", "slow_body", "spool_full", "store_away",
    "too_complex", "too_many_at_once", "too_many_connections", "unknown_feedback",
    "unknown_request", "unsupported_encoding", "unsupported_media_type", "worker_ended",
    "worker_stuck", "wrong_keys",
)  # fmt: skip
"""Reasons of refusals (`serving.http.problems.ProblemError`)."""

STAGES: Final = ("decode", "queue", "first_token", "generate", "hashtags", "total")
"""Stages of a caption request, as in `serving.http.schemas.Timing`."""

_TOKENS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)

BUILD = Info("snap2caption_build", "Versions of the service and of Python.")
READY = Gauge("snap2caption_ready", "1 while /readyz says which model writes captions, else 0.")
DEGRADED = Gauge(
    "snap2caption_degraded", "1 for everything that does not work as it should although captions are written.", ["what"]
)
REQUESTS = Counter("snap2caption_requests_total", "Requests for captions, by HTTP status.", ["status"])
REFUSALS = Counter("snap2caption_refusals_total", "Requests refused, by reason.", ["reason"])
STAGE = Histogram("snap2caption_stage_seconds", "Time in each stage of a request.", ["stage"], buckets=_SECONDS)
BATCH_SIZE = Histogram("snap2caption_batch_size", "Photos captioned at once.", buckets=(1, 2, 4, 8, 16, 32))
QUEUE_DEPTH = Gauge("snap2caption_queue_depth", "Waiting requests.")
IN_FLIGHT = Gauge("snap2caption_photos_in_flight", "Photos in the service: decoded, waiting, or being captioned.")
CAPACITY = Gauge("snap2caption_photos_capacity", "Photos that may be in the service at once; further ones are refused.")
PREFILL_TOKENS = Histogram(
    "snap2caption_prefill_tokens", "Prefill tokens per photo: image and prompts.", buckets=_TOKENS
)
DECODE_TOKENS = Histogram(
    "snap2caption_decode_tokens", "Generated tokens per photo: all variants and the alt text.", buckets=_TOKENS
)
TOKEN_RATE = Histogram(
    "snap2caption_tokens_per_second",
    "Generated tokens per second, for one photo.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
)
TOKENS = Counter("snap2caption_generated_tokens_total", "Generated tokens.")
CHECKED = Counter(
    "snap2caption_checked_total", "Generated texts that were checked for what must not be published, by kind.", ["kind"]
)
UNSAFE = Counter("snap2caption_unsafe_total", "Generated texts that were withheld, by kind.", ["kind"])
UNFAMILIAR = Counter(
    "snap2caption_unfamiliar_photos_total", "Photos unlike the pictures that the model was trained with."
)
NSFW_SCORE = Histogram(
    "snap2caption_nsfw_score",
    "Probability that a photo is not safe for work, of each photo that the moderation `nsfw` checked.",
    buckets=(0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 1),
)
SWAPS = Counter("snap2caption_model_swaps_total", "New model versions, by outcome.", ["outcome"])
CHAMPION_REFUSED = Gauge(
    "snap2caption_champion_refused", "1 while the registry's champion is refused, by reason.", ["reason"]
)
REGISTRY_CONTACT = Gauge(
    "snap2caption_registry_contact_timestamp_seconds", "When the registry answered last, in seconds since the epoch."
)
DATASETS_CONTACT = Gauge(
    "snap2caption_datasets_contact_timestamp_seconds",
    "When the newest dataset version's hashtags were last read, in seconds since the epoch; 0: not since the start.",
)
DATASET_PUBLISHED = Gauge(
    "snap2caption_dataset_published_timestamp_seconds",
    "When the dataset version of the hashtag table in use was published, in seconds since the epoch; 0: none is in use.",
)
HASHTAGS_KNOWN = Gauge(
    "snap2caption_hashtags_known",
    "Hashtags of the table in use; 0: no table could be read, so answers have general hashtags.",
)
VOICE_READ_FAILURES = Counter(
    "snap2caption_voices_away_total", "Requests whose creator's saved captions could not be read."
)
MODEL = Info("snap2caption_model", "The model in service.")
MODEL_SECONDS = Histogram(
    "snap2caption_model_seconds", "Time to caption a photo, by model version.", ["model"], buckets=_SECONDS
)
MODEL_ERRORS = Counter("snap2caption_model_errors_total", "Photos that failed, by model version.", ["model"])
MODEL_RATINGS = Histogram(
    "snap2caption_model_ratings",
    "Ratings of captions, by the model version that wrote them, as long as it is loaded.",
    ["model"],
    buckets=(1, 2, 3, 4, 5),
)
MODEL_ROLE = Gauge("snap2caption_model_role", "1 for the role of each loaded model version.", ["model", "role"])
BY_MODEL = (MODEL_SECONDS, MODEL_ERRORS, MODEL_RATINGS)

BUILD.info({"version": version("snap2caption"), "python": platform.python_version()})
for _metric, _values in (
    (REQUESTS, STATUSES),
    (REFUSALS, REFUSAL_REASONS),
    (STAGE, STAGES),
    (CHECKED, ("caption", "alt_text")),
    (UNSAFE, ("caption", "alt_text")),
    (SWAPS, ("done", "returned", "refused")),
):
    for _value in _values:
        _metric.labels(_value)

_loaded: frozenset[str] = frozenset()


def set_loaded_models(roles: dict[str, str]) -> None:
    """Set which models have metrics, and remove the time series of all others.

    Args:
        roles: maps each loaded version to its role: champion, challenger or previous.
    """
    global _loaded
    _loaded = frozenset(roles)
    for metric in BY_MODEL:
        known = {sample.labels["model"] for family in metric.collect() for sample in family.samples}
        for model in known - _loaded:
            metric.remove(model)
        for model in roles:
            metric.labels(model)
    MODEL_ROLE.clear()
    for model, role in roles.items():
        MODEL_ROLE.labels(model, role).set(1)


def observe_rating(model: str, rating: int) -> None:
    """Count a rating of a caption by *model*, if it is still loaded: otherwise the number of series has no bound."""
    if model in _loaded:
        MODEL_RATINGS.labels(model).observe(rating)
