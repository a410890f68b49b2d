"""Settings of the ETL, from the environment (``SNAP2CAPTION_ARIA2_*``)."""

from pydantic import AnyHttpUrl, Field, SecretStr
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
