"""Settings of the service, from the environment (``SNAP2CAPTION_SERVING_*``)."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

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
from snap2caption.names import BaseName
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
    """Return the origin of *host*, which may have a port, as browsers write it: without the port that goes without saying."""
    return f"{scheme}://{host.removesuffix(_DEFAULT_PORTS.get(scheme, ''))}"


@dataclass(frozen=True)
class TokenLimits:
    """How much an engine takes on at once, in tokens."""

    prefill: int = 2048
    """Read at once, between two tokens of those that are written about."""
    cache: int = 32_768
    """Remembered of all that is read and written at a time: keys and values of every layer."""
    voice: int = 1024
    """Of a prompt, for captions to write like, even where the context has room for more: each costs time."""


class ServingSettings(BaseSettings):
    """Limits and intervals. Where the registry, the store and the base models are comes from `snap2caption.settings`."""

    model_config = SettingsConfigDict(env_prefix="SNAP2CAPTION_SERVING_", extra="ignore")

    max_batch: int = Field(default=8, ge=1)
    """Photos captioned at once."""
    queue_size: int = Field(default=64, ge=1)
    """Requests that may wait; one more is refused with 503."""
    deadline_seconds: float = Field(default=10.0, gt=0)
    """A request that waited longer is not started, but answered with 504."""
    stuck_seconds: float = Field(default=120.0, gt=0)
    """If the model takes longer for a token, or to read a batch of photos, it counts as stuck: /healthz fails. More than the slowest batch takes."""
    read_seconds: float = Field(default=30.0, gt=0)
    """How long a client may take to send its photo, and one second more for each `read_rate` bytes; also how long it may send nothing."""
    read_rate: float = Field(default=1000.0, gt=0)
    """Bytes a second: slower than that, an upload is given up."""
    read_seconds_in_all: float = Field(default=600.0, gt=0)
    """An upload that takes longer is given up, however fast it goes on."""
    keep_alive_seconds: int = Field(default=75, ge=1)
    """How long an idle connection is kept: longer than the proxy before it keeps one (60 s is usual), or its next request meets a closed one."""
    head_seconds: float = Field(default=10.0, gt=0)
    """How long a request's line and header fields may take."""
    write_seconds: float = Field(default=60.0, gt=0)
    """How long a client may read nothing of an answer that waits for it."""
    connections: int = Field(default=1000, ge=16)
    """Connections that may be open; one more takes the place of the one that has waited longest for a request."""
    connections_per_peer: int = Field(default=250, ge=1)
    """Of these, how many from one address, or of IPv6 from one network of 64 bits. Behind a proxy, all are from the proxy's."""
    root_path: str = Field(default="", pattern=r"^((/[0-9A-Za-z._~-]+)+)?$")
    """The path under which a proxy has the service, such as ``/captions``; it may take it off or not."""
    max_body_bytes: int = Field(default=20 * 1024 * 1024, ge=1024)
    """Of a request that brings photos; others may have 64 KiB."""
    body_bytes_at_once: int = Field(default=256 * 1024 * 1024, ge=1024)
    """Bytes of such requests that may be under way at once, half of them of one key. Others wait for some seconds, and are then refused with 503."""
    max_pixels: int = Field(default=50_000_000, ge=1)
    max_new_tokens: int = Field(default=96, ge=8)
    """Tokens of a caption at most."""
    voice_tokens: int = Field(default=TokenLimits.voice, ge=0)
    """Tokens of a prompt for captions to write like, at most; fewer where the model's context has no room for so many."""
    prefill_tokens: int = Field(default=TokenLimits.prefill, ge=16)
    """Tokens of prompts and photos that are read at once, before those that are written about get their next token."""
    cache_tokens: int = Field(default=TokenLimits.cache, ge=512)
    """Tokens whose keys and values are kept at a time, of all that is read and written: half a megabyte each with LLaVA 1.5 in 16 bits."""
    poll_seconds: float = Field(default=5.0, gt=0)
    """How often the registry is asked for the champion."""
    engine_url: str | None = Field(default=None, pattern=r"^https?://")
    """An OpenAI-compatible server, such as vLLM, that writes instead of a model in this process."""
    engine_key: SecretStr = SecretStr("")
    """What that server wants as a bearer token."""
    engine_context: int = Field(default=4096, ge=64)
    """Tokens that that server's model reads and writes in one sequence, where the server does not say it (``max_model_len``, as vLLM does)."""
    engine_seconds: float = Field(default=30.0, gt=0)
    """How long that server may take for a text."""
    canary_share: float = Field(default=0.0, ge=0, le=1)
    """Of the requests, how many the challenger answers: always the same creators, or where no keys are set, the same photos."""
    bases: tuple[BaseName, ...] = ()
    """Base models that may be fetched from the hub, as a JSON list of owner/name. Those in the models folder always may."""
    signature_key_file: Path | None = None
    """The public key (PEM) that signatures of models must fit. None: signatures are not looked at."""
    require_signatures: bool = False
    """Whether models without a signature are refused; wants `signature_key_file`."""
    threads: int | None = Field(default=None, ge=1)
    """Threads of the model on the CPU; all cores if left out."""
    precision: Literal["auto", "fp32", "bf16", "int8"] = "auto"
    """Of the model: auto is bf16 on a GPU and fp32 on the CPU. int8 holds the language model's weights in 8 bits and computes as auto does."""
    banned_hashtags: Path | None = None
    """A file of hashtags that are never used, in place of the shipped ones or on top of them (`snap2caption.hashtags.banned`)."""
    hashtags_poll_seconds: float = Field(default=60.0, gt=0)
    """How often the datasets are asked for a newer version's hashtags."""
    moderation: str = ""
    """What checks photos before they are captioned: ``package.module:function`` or a URL (`serving.captioning.moderation`). Empty: nothing."""
    voice_file: Path = Field(default_factory=lambda: Settings().state_dir / "serving" / "voice.sqlite")
    """Where creators' saved captions are kept. Services on one machine may share it."""
    voice_seconds: float = Field(default=2.0, gt=0)
    """How long a caption waits for its creator's saved captions; then it is written in no voice."""
    api_key_hashes: tuple[_Digest, ...] = ()
    """SHA-256 digests (hex) of keys that may ask, as a JSON list, each a creator of its own: for one who needs no more. See `serving.keys`."""
    key_file: Path = Field(default_factory=lambda: Settings().state_dir / "serving" / "keys.sqlite")
    """Where `snap2caption key` keeps keys' digests. Neither this file nor hashes: whoever can reach the service may ask."""
    metrics_token_hash: _Digest | None = None
    """SHA-256 digest (hex) of the token that Prometheus must send. None: with keys nobody reads the metrics, without keys whoever can reach them."""
    failed_keys_per_minute: int = Field(default=30, ge=1)
    """How many wrong keys may come from an address in a minute; then only keys that were right from there before are looked at."""
    requests_per_minute: int = Field(default=120, ge=1)
    """How many captions a creator may ask for in a minute: a request counts as photos times variants, any other as one."""
    requests_at_once: int = Field(default=16, ge=1)
    """How many requests of a creator may be under way."""
    cors_origins: tuple[_Origin, ...] = ()
    """Web pages that may call the service, as a JSON list of origins such as ``https://app.example.com``; with keys, ``*`` is all."""
    allowed_hosts: tuple[_Host, ...] = ()
    """Without keys, names under which the service answers beside the loopback ones: a JSON list such as ``captions.example.com``, or with a port."""
    traces: bool = False
    """Send traces by OpenTelemetry; wants the extra ``tracing`` and the standard ``OTEL_*`` variables."""
    cache_dir: Path = Field(default_factory=lambda: Settings().state_dir / "serving")
    """Where the adapters in service are kept, the last good one for a start without the registry."""

    feedback_dir: Path = Field(default_factory=lambda: Settings().state_dir / "serving" / "feedback")
    """Feedback on its way to the store, and what was kept for it. Processes on one machine may share it."""
    feedback_keep_seconds: float = Field(default=24 * 3600, gt=0)
    """How long photo and caption are kept for feedback, of requests that agreed to it."""
    feedback_keep_bytes: int = Field(default=2**30, ge=2**20)
    """How many bytes are kept so; of whoever has most, the oldest go first."""
    feedback_store_seconds: float = Field(default=5.0, gt=0)
    """How long a creator waits for the store to say whether a feedback is theirs; then 503."""
    feedback_spool_bytes: int = Field(default=2**30, ge=2**20)
    """How many bytes may wait for the store; more is refused with 503. A creator may take as much as they leave free."""

    @field_validator("root_path")
    @classmethod
    def _check_root_path(cls, path: str) -> str:
        if path.partition("/")[2].partition("/")[0] in FIRST_SEGMENTS:
            raise ValueError("it must not begin as the service's own paths do: name another one")
        return path

    @model_validator(mode="after")
    def _check_room(self) -> Self:
        if self.body_bytes_at_once < self.max_body_bytes:
            raise ValueError(
                "BODY_BYTES_AT_ONCE must be MAX_BODY_BYTES or more: a request of that size would never be read"
            )
        return self

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, origins: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if "*" in origins and not _asks_for_keys(info.data.get("api_key_hashes"), info.data.get("key_file")):
            raise ValueError("without keys, every page that a browser opens could write here: name each origin")
        return origins

    @property
    def asks_for_keys(self) -> bool:
        """Whether there are keys, and only who has one may ask."""
        return _asks_for_keys(self.api_key_hashes, self.key_file)

    @model_validator(mode="after")
    def _check_signatures(self) -> Self:
        if self.require_signatures and self.signature_key_file is None:
            raise ValueError("require_signatures wants a key: name its file in SNAP2CAPTION_SERVING_SIGNATURE_KEY_FILE")
        return self

    @property
    def token_limits(self) -> TokenLimits:
        """How many tokens an engine takes on at once."""
        return TokenLimits(self.prefill_tokens, self.cache_tokens, self.voice_tokens)

    @property
    def capacity(self) -> int:
        """How many photos may be inside at once: those that wait and those that are written about."""
        return self.queue_size + self.max_batch


def _asks_for_keys(hashes: Collection[str] | None, file: Path | None) -> bool:
    return bool(hashes) or (file is not None and file.exists())
