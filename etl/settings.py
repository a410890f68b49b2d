"""Settings of the ETL, from the environment (``SNAP2CAPTION_ARIA2_*``, ``SNAP2CAPTION_IMG2DATASET_*``)."""

from pathlib import Path

from pydantic import AnyHttpUrl, Field, IPvAnyNetwork, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Aria2Settings(BaseSettings):
    """Which aria2 daemon downloads, and its timeout."""

    model_config = SettingsConfigDict(env_prefix="SNAP2CAPTION_ARIA2_", env_ignore_empty=True, extra="ignore")

    url: AnyHttpUrl | None = None
    """URL of a daemon's RPC server, such as ``http://127.0.0.1:6800``. It must see our file system under the
    same paths, and be allowed to write there. None: one is started for each download, and stopped
    afterwards.
    """
    secret: SecretStr = SecretStr("")
    """The daemon's ``--rpc-secret``."""
    timeout: int = Field(default=60, ge=1, le=600)
    """Seconds without data after which a request is retried."""


class Img2datasetSettings(BaseSettings):
    """Which img2dataset downloads a table's photos, and its limits."""

    model_config = SettingsConfigDict(env_prefix="SNAP2CAPTION_IMG2DATASET_", env_ignore_empty=True, extra="ignore")

    python: Path | None = None
    """Python of the environment that has img2dataset. None: the one that ``make url-tables`` made, or else ours."""
    networks: tuple[IPvAnyNetwork, ...] = ()
    """Networks that photos may come from although they are not public, such as ``["10.1.0.0/16"]``."""
    timeout: float = Field(default=30, gt=0, le=3600)
    """Seconds that a photo may take, with its redirects."""
    threads: int = Field(default=32, ge=1, le=256)
    """Photos that are downloaded at once."""
