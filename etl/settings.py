"""Settings of the ETL, from the environment (``SNAP2CAPTION_ARIA2_*``)."""

from pydantic import AnyHttpUrl, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from snap2caption.errors import UserError


class Aria2Settings(BaseSettings):
    """Which aria2 daemon downloads, and how patiently."""

    model_config = SettingsConfigDict(env_prefix="SNAP2CAPTION_ARIA2_", env_ignore_empty=True, extra="ignore")

    url: AnyHttpUrl | None = None
    """Where a daemon's RPC server is, such as ``http://127.0.0.1:6800``. It must see our file system under the same paths, and be
    allowed to write there. None: one is started for each download, and ended with it."""
    secret: SecretStr = SecretStr("")
    """That daemon's ``--rpc-secret``."""
    timeout: int = Field(default=60, ge=1, le=600)
    """Seconds after which a server that sends nothing is asked again."""


def read_settings() -> Aria2Settings:
    """Read the settings from the environment.

    Raises:
        UserError: a variable is not what it should be. Its value is not repeated: it may be a secret.
    """
    try:
        return Aria2Settings()
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        name = str(first["loc"][0])
        raise UserError(f"SNAP2CAPTION_ARIA2_{name.upper()} is wrong ({first['msg']}); correct it.") from None
