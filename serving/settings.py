"""Service settings from environment variables (``SNAP2CAPTION_SERVING_*``)."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from serving.paths import FIRST_SEGMENTS
from snap2caption.names import BaseName, is_base_name
from snap2caption.settings import Settings

_Digest = Annotated[str, StringConstraints(strip_whitespace=True, to_lower=True, pattern="^[0-9a-fA-F]{64}$")]

_NAME = r"([0-9A-Za-z]([0-9A-Za-z.-]*[0-9A-Za-z])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?"
_Host = Annotated[str, StringConstraints(strip_whitespace=True, to_lower=True, pattern=rf"^{_NAME}$")]
_Origin = Annotated[
    str,
    StringConstraints(strip_whitespace=True, to_lower=True, pattern=rf"^(\*|[A-Za-z][0-9A-Za-z+.-]*://{_NAME})$"),
    AfterValidator(lambda origin: as_origin(*origin.split("://")) if "://" in origin else origin),
]

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def as_origin(scheme: str, host: str) -> str:
    """Return the origin of *host*, which may have a port, as browsers write it: without the scheme's default port."""
    return f"{scheme}://{host.removesuffix(_DEFAULT_PORTS.get(scheme, ''))}"


Precision = Literal["auto", "fp32", "bf16", "int8"]
"""Precisions of a model in this process (docs/operations.md#precision)."""


@dataclass(frozen=True)
class TokenLimits:
    """How much an engine processes at once, in tokens."""

    prefill: int = 2048
    """Tokens per prefill chunk, between two decoding steps of the running sequences."""
    cache: int = 32_768
    """Tokens in the KV cache, over all running sequences: keys and values of every layer."""
    voice: int = 1024
    """Tokens of a prompt for captions to imitate, even if the context has room for more: each token costs time."""


class ServingSettings(BaseSettings):
    """Limits and intervals. `snap2caption.settings` says where the registry, the store and the base models are."""

    model_config = SettingsConfigDict(env_prefix="SNAP2CAPTION_SERVING_", extra="ignore")

    max_batch: int = Field(default=8, ge=1)
    """Photos captioned at once."""
    queue_size: int = Field(default=64, ge=1)
    """Requests that may wait; further ones are refused with 503."""
    deadline_seconds: float = Field(default=10.0, gt=0)
    """A request that has waited longer is answered with 504 instead of being started."""
    stuck_seconds: float = Field(default=120.0, gt=0)
    """If the model takes longer than this for one token or for the prefill of a batch, it counts as stuck and /healthz
    fails. Set it above the time that the slowest batch takes."""
    shutdown_seconds: int = Field(default=10, ge=1)
    """How long requests in progress may take after SIGTERM. Set it above the time of the slowest caption, and let the
    supervisor wait longer than this."""
    read_seconds: float = Field(default=30.0, gt=0)
    """How long a client may take to send its photo, plus one second for each `read_rate` bytes. Also the longest pause
    in an upload."""
    read_rate: float = Field(default=1000.0, gt=0)
    """Minimum rate of an upload, in bytes per second; a slower one is refused."""
    read_seconds_in_all: float = Field(default=600.0, gt=0)
    """Longest duration of an upload, whatever its rate."""
    keep_alive_seconds: int = Field(default=75, ge=1)
    """How long an idle connection stays open. It must exceed the keep-alive time of the proxy in front (60 s is usual):
    otherwise the proxy sends a request on a closed connection."""
    head_seconds: float = Field(default=10.0, gt=0)
    """How long the request line and the header fields may take."""
    write_seconds: float = Field(default=60.0, gt=0)
    """How long a client may read nothing of a response that is ready."""
    connections: int = Field(default=1000, ge=16)
    """Open connections at most; a further one replaces the one that has waited longest for a request."""
    connections_per_peer: int = Field(default=250, ge=1)
    """Open connections at most from one IPv4 address or one IPv6 /64 network. Behind a proxy, all come from the proxy's
    address."""
    root_path: str = Field(default="", pattern=r"^((/[0-9A-Za-z._~-]+)+)?$")
    """Path prefix under which a proxy publishes the service, such as ``/captions``. The proxy may strip it or not."""
    page: bool = True
    """Serve the web page for creators at ``/``."""
    max_body_bytes: int = Field(default=20 * 1024 * 1024, ge=1024)
    """Largest body of a request with photos; other requests may have 64 KiB."""
    body_bytes_at_once: int = Field(default=256 * 1024 * 1024, ge=1024)
    """Bytes of request bodies with photos that may be in memory at once, at most half of them for one key. Further
    requests wait for a few seconds and are then refused with 503."""
    max_pixels: int = Field(default=50_000_000, ge=1)
    max_new_tokens: int = Field(default=96, ge=8)
    """Tokens per caption at most."""
    voice_tokens: int = Field(default=TokenLimits.voice, ge=0)
    """Tokens of a prompt for captions to imitate, at most; fewer if the model's context is too short for them."""
    prefill_tokens: int = Field(default=TokenLimits.prefill, ge=16)
    """Tokens of prompts and photos per prefill chunk, before the running sequences get their next token."""
    cache_tokens: int = Field(default=TokenLimits.cache, ge=512)
    """Tokens in the KV cache, over all running sequences: half a megabyte per token with LLaVA 1.5 in 16 bits."""
    poll_seconds: float = Field(default=5.0, gt=0)
    """Interval between two checks of the registry for a new champion."""
    model: str | None = None
    """Name of a model to serve as its maker published it, without a registry or training: a folder of the models
    folder, owner/name on the model hub or, with `engine_url`, its name on that server. None: the registry's
    champion."""
    switch_to_champion: bool = True
    """Whether a service with `model` switches to the registry's champion once there is one on the same base."""
    engine_url: str | None = None
    """URL of an OpenAI-compatible server, such as vLLM, that generates captions instead of a model in this process."""
    engine_key: SecretStr = SecretStr("")
    """Bearer token for that server."""
    engine_context: int = Field(default=4096, ge=64)
    """Context length of that server's model, in tokens, if the server doesn't report it (vLLM does, as
    ``max_model_len``)."""
    engine_seconds: float = Field(default=30.0, gt=0)
    """How long that server may take to generate a text."""
    engine_load_seconds: float = Field(default=300.0, gt=0)
    """How long that server may take to load its model, before the first token: Ollama loads a model when it is first
    asked for, and unloads it after five minutes without a request."""
    canary_share: float = Field(default=0.0, ge=0, le=1)
    """Share of the requests that the challenger answers: always the same creators or, without API keys, the same
    photos."""
    bases: tuple[BaseName, ...] = ()
    """Base models that may be downloaded from the hub, as a JSON list of owner/name. Those in the models folder are
    always allowed."""
    signature_key_file: Path | None = None
    """Public key (PEM) that verifies the models' signatures. None: signatures are not checked."""
    require_signatures: bool = False
    """Whether models without a signature are refused; requires `signature_key_file`."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads of the model; None: one per core."""
    precision: Precision = "auto"
    """Precision of the model: auto is bf16 on a GPU; on a CPU, the text model has float16 weights and computes in
    float32, and the vision tower is bf16 where the processor computes in it. int8 stores the text model's weights in
    8 bits (CPU only)."""
    banned_hashtags: Path | None = None
    """File of hashtags that are never used. It replaces or extends the shipped list
    (`snap2caption.hashtags.banned`)."""
    hashtags_poll_seconds: float = Field(default=60.0, gt=0)
    """Interval between two checks of the datasets for a newer version's hashtags."""
    moderation: str = ""
    """Check of photos before they are captioned: ``nsfw``, ``package.module:function`` or a URL
    (`serving.captioning.moderation`). Empty: no check."""
    nsfw_max_score: float = Field(default=0.8, ge=0, le=1)
    """With `moderation` ``nsfw``: the highest probability of not being safe for work that a photo may have."""
    database_url: SecretStr | None = None
    """PostgreSQL database (``postgresql://user:password@host/name``) that replicas share: voices, kept requests,
    feedback that waits, API keys and rate limits. Requests then always need an API key. None: each machine has SQLite
    files of its own."""
    voice_file: Path = Field(default_factory=lambda: Settings().state_dir / "serving" / "voice.sqlite")
    """File of creators' saved captions. Services on one machine may share it."""
    voice_seconds: float = Field(default=2.0, gt=0)
    """How long a request waits for its creator's saved captions; after that the caption is written without a voice."""
    api_key_hashes: tuple[_Digest, ...] = ()
    """SHA-256 digests (hex) of valid API keys, as a JSON list. Each key is its own creator; use `serving.keys` for more
    than that."""
    key_file: Path = Field(default_factory=lambda: Settings().state_dir / "serving" / "keys.sqlite")
    """File where `snap2caption key` stores the digests of API keys. Without this file and without `api_key_hashes`,
    anyone who can reach the service may use it."""
    metrics_token_hash: _Digest | None = None
    """SHA-256 digest (hex) of the token that Prometheus must send. None: with API keys nobody can read the metrics,
    without them anyone who can reach the service can."""
    failed_keys_per_minute: int = Field(default=30, ge=1)
    """Wrong keys per minute from one address. Beyond that, only keys that were valid from there before are checked."""
    requests_per_minute: int = Field(default=120, ge=1)
    """Captions per minute and creator. A caption request counts as photos times variants, any other request as one."""
    requests_at_once: int = Field(default=16, ge=1)
    """Requests in flight per creator."""
    cors_origins: tuple[_Origin, ...] = ()
    """Origins of web pages that may call the service, as a JSON list such as ``["https://app.example.com"]``. With API
    keys, ``*`` allows all of them."""
    allowed_hosts: tuple[_Host, ...] = ()
    """Without API keys: host names, with or without a port, that the service answers to in addition to the loopback
    names, as a JSON list such as ``["captions.example.com"]``."""
    ready_without_model: bool = False
    """Let the readiness probe succeed while the registry answers that no model was promoted yet: the web page and the
    intake of feedback work then, and captions are refused. A new replica still waits for a champion that there is."""
    traces: bool = False
    """Send traces with OpenTelemetry; requires the extra ``tracing`` and the standard ``OTEL_*`` variables."""
    cache_dir: Path = Field(default_factory=lambda: Settings().state_dir / "serving")
    """Folder of the adapters in service, including the last good one for a start without the registry."""

    feedback_dir: Path = Field(default_factory=lambda: Settings().state_dir / "serving" / "feedback")
    """Folder of feedback that waits for the store and of requests kept for feedback. Processes on one machine may
    share it."""
    feedback_keep_seconds: float = Field(default=24 * 3600, gt=0)
    """How long the photo and caption of a request are kept for feedback, if the creator agreed."""
    feedback_keep_bytes: int = Field(default=2**30, ge=2**20)
    """Bytes of such requests at most. Beyond that, the oldest requests of the creator who uses most are dropped
    first."""
    feedback_store_seconds: float = Field(default=5.0, gt=0)
    """How long a request waits for the store to check whether a feedback is the creator's; after that, 503."""
    feedback_spool_bytes: int = Field(default=2**30, ge=2**20)
    """Bytes that may wait for the store; more are refused with 503. A creator may use as much as they leave free."""

    @field_validator("model")
    @classmethod
    def _check_model_name(cls, model: str | None) -> str | None:
        if model is None:
            return None
        # Shells complete the name of a folder with a slash.
        model = model.strip().rstrip("/")
        if not (model.isprintable() and 0 < len(model) < 200):
            raise ValueError("a model's name should have 1 to 199 characters on one line")
        return model

    @field_validator("engine_url")
    @classmethod
    def _check_engine_url(cls, url: str | None) -> str | None:
        if url is None:
            return None
        url = url.strip()
        try:
            parts = urlsplit(url)
            valid = bool(parts.hostname) and parts.port != 0 and not re.search(r"\s", url)
        except ValueError:
            valid = False
        if not valid or parts.scheme not in ("http", "https"):
            raise ValueError("it should start with http:// or https:// and a host, such as http://127.0.0.1:11434")
        if parts.query or parts.fragment:
            raise ValueError("it should end with its path, such as /v1: leave out what follows")
        path = parts.path.rstrip("/").removesuffix("/models").removesuffix("/chat/completions")
        return parts._replace(path=path).geturl()

    @field_validator("database_url")
    @classmethod
    def _check_database_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is None:
            return None
        # A URL from a file has a line break at its end.
        secret = url.get_secret_value().strip()
        try:
            parts = urlsplit(secret)
            valid = parts.scheme in ("postgresql", "postgres") and parts.port != 0 and len(parts.path) > 1
        except ValueError:
            valid = False
        if not valid:
            raise ValueError("it should be like postgresql://user:password@host:5432/name")
        return SecretStr(secret)

    @field_validator("engine_key")
    @classmethod
    def _check_engine_key(cls, key: SecretStr) -> SecretStr:
        # A key from a file has a line break at its end.
        secret = key.get_secret_value().strip()
        if not (secret.isascii() and secret.isprintable()):
            raise ValueError("a key has only ASCII characters, without line breaks")
        return SecretStr(secret)

    @field_validator("root_path")
    @classmethod
    def _check_root_path(cls, path: str) -> str:
        if path.partition("/")[2].partition("/")[0] in FIRST_SEGMENTS:
            raise ValueError("it must not start like one of the service's own paths: choose another one")
        return path

    @model_validator(mode="after")
    def _check_room(self) -> Self:
        if self.body_bytes_at_once < self.max_body_bytes:
            raise ValueError(
                "BODY_BYTES_AT_ONCE must be at least MAX_BODY_BYTES: a request of that size would never be read"
            )
        return self

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, origins: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        given = (info.data.get(name) for name in ("api_key_hashes", "database_url", "key_file"))
        if "*" in origins and not _requires_keys(*given):
            raise ValueError("without keys, * would let every web page use the service: name each origin")
        return origins

    @property
    def requires_keys(self) -> bool:
        """Whether API keys exist, so that requests need one. Replicas that share a database always do."""
        return _requires_keys(self.api_key_hashes, self.database_url, self.key_file)

    @property
    def has_key_store(self) -> bool:
        """Whether there is a key store to read. A file appears with its first key."""
        return _requires_keys((), self.database_url, self.key_file)

    @model_validator(mode="after")
    def _check_model(self) -> Self:
        if self.model and not self.engine_url and not is_base_name(self.model):
            raise ValueError(
                "MODEL should be the name of a folder in the models folder, or owner/name on the model hub; "
                "any other name needs ENGINE_URL"
            )
        return self

    @model_validator(mode="after")
    def _check_signatures(self) -> Self:
        if self.require_signatures and self.signature_key_file is None:
            raise ValueError(
                "require_signatures needs a public key: name its file in SNAP2CAPTION_SERVING_SIGNATURE_KEY_FILE"
            )
        return self

    @property
    def token_limits(self) -> TokenLimits:
        """How many tokens an engine processes at once."""
        return TokenLimits(self.prefill_tokens, self.cache_tokens, self.voice_tokens)

    @property
    def capacity(self) -> int:
        """Photos that may be in the service at once: waiting or being captioned."""
        return self.queue_size + self.max_batch


def _requires_keys(hashes: Collection[str] | None, database_url: SecretStr | None, file: Path | None) -> bool:
    return bool(hashes) or database_url is not None or (file is not None and file.exists())
