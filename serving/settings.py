"""Settings of the service, from the environment (``SNAP2CAPTION_SERVING_*``)."""

import hashlib
import hmac
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from snap2caption.settings import Settings


class ServingSettings(BaseSettings):
    """Limits and intervals. Where the registry, the store and the base models are comes from `snap2caption.settings`."""

    model_config = SettingsConfigDict(env_prefix="SNAP2CAPTION_SERVING_", extra="ignore")

    max_batch: int = Field(default=8, ge=1)
    """Photos captioned at once."""
    queue_size: int = Field(default=64, ge=1)
    """Requests that may wait; one more is refused with 503."""
    deadline_seconds: float = Field(default=10.0, gt=0)
    """A request that waited longer is not started, but answered with 504."""
    max_body_bytes: int = Field(default=20 * 1024 * 1024, ge=1024)
    max_pixels: int = Field(default=50_000_000, ge=1)
    max_new_tokens: int = Field(default=96, ge=8)
    poll_seconds: float = Field(default=5.0, gt=0)
    """How often the registry is asked for the champion."""
    threads: int | None = Field(default=None, ge=1)
    """Threads of the model on the CPU; all cores if left out."""
    dtype: str = Field(default="float32", pattern="^(float32|bfloat16|float16)$")
    api_key_hashes: tuple[str, ...] = ()
    """SHA-256 digests (hex) of the keys that may caption, as a JSON list; empty: everybody may."""
    cache_dir: Path = Field(default_factory=lambda: Settings().state_dir / "serving")
    """Where the adapters in service are kept, the last good one for a start without the registry."""

    def admits(self, key: str | None) -> bool:
        """Whether *key* may caption. Every digest is compared, in constant time."""
        if not self.api_key_hashes:
            return True
        digest = hashlib.sha256((key or "").encode()).hexdigest()
        return sum(hmac.compare_digest(digest, known.lower()) for known in self.api_key_hashes) > 0
