"""Prometheus metrics of the captioning service."""

from prometheus_client import Counter, Gauge, Histogram, Info

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10)
_TOKENS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)

REQUESTS = Counter("snap2caption_requests_total", "Requests for captions, by HTTP status.", ["status"])
REFUSALS = Counter("snap2caption_refusals_total", "Requests refused, by reason.", ["reason"])
STAGE = Histogram("snap2caption_stage_seconds", "Time in each stage of a request.", ["stage"], buckets=_SECONDS)
BATCH_SIZE = Histogram("snap2caption_batch_size", "Photos captioned at once.", buckets=(1, 2, 4, 8, 16, 32))
QUEUE_DEPTH = Gauge("snap2caption_queue_depth", "Waiting requests.")
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
UNSAFE = Counter("snap2caption_unsafe_total", "Generated texts that were withheld, by kind.", ["kind"])
UNFAMILIAR = Counter(
    "snap2caption_unfamiliar_photos_total", "Photos unlike the pictures that the model was trained with."
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
    MODEL_ROLE.clear()
    for model, role in roles.items():
        MODEL_ROLE.labels(model, role).set(1)


def observe_rating(model: str, rating: int) -> None:
    """Count a rating of a caption by *model*, if it is still loaded: otherwise the number of series has no bound."""
    if model in _loaded:
        MODEL_RATINGS.labels(model).observe(rating)
