"""Settings of Label Studio and of its webhook receiver, from the environment."""

from pathlib import Path
from typing import Annotated

from pydantic import AnyHttpUrl, Field, SecretStr, StringConstraints
from pydantic_settings import BaseSettings, SettingsConfigDict

from snap2caption.errors import UserError


class LabelStudioSettings(BaseSettings):
    """Label Studio's URL and credentials, and its project's settings (``SNAP2CAPTION_LABEL_STUDIO_*``)."""

    model_config = SettingsConfigDict(env_prefix="SNAP2CAPTION_LABEL_STUDIO_", env_ignore_empty=True, extra="ignore")

    url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:8080")
    token: SecretStr | None = None
    """A personal access token, or a legacy token where the organization allows them."""
    token_file: Path | None = None
    """A file that holds the token, instead of `token`."""
    project: Annotated[str, StringConstraints(min_length=3, max_length=50)] = "Snap2Caption feedback"
    """The project's title, which identifies it: each installation that shares a Label Studio needs its own."""
    annotators: int = Field(default=1, ge=1, le=10)
    """Number of annotators per task; with 2 or more their agreement is measured."""
    photos_uri: str | None = None
    """Where Label Studio reads the objects of the feedback URI (``s3://…`` or ``file:///…``). None: from the
    feedback URI itself. Swift has an S3 interface, too.
    """
    webhook_url: AnyHttpUrl | None = None
    """URL of `snap2caption label-studio-webhook` for Label Studio. None: no webhook; the daily run finds new
    annotations.
    """
    webhook_secret: SecretStr | None = Field(default=None, min_length=16)
    """Secret for the webhook's signature."""

    def read_token(self) -> str:
        """Return the token.

        Raises:
            UserError: there is none.
        """
        if self.token is not None:
            return self.token.get_secret_value()
        if self.token_file is not None:
            return self.token_file.read_text().strip()
        raise UserError(
            "No token for Label Studio; make one in its account settings and put it into "
            "SNAP2CAPTION_LABEL_STUDIO_TOKEN, or into a file that SNAP2CAPTION_LABEL_STUDIO_TOKEN_FILE names."
        )


class AirflowSettings(BaseSettings):
    """Airflow's URL, and the webhook receiver's login there (``SNAP2CAPTION_AIRFLOW_*``)."""

    model_config = SettingsConfigDict(env_prefix="SNAP2CAPTION_AIRFLOW_", env_ignore_empty=True, extra="ignore")

    url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:8080")
    user: str = "snap2caption-webhook"
    """A user that may raise asset events and nothing else; docs/operations.md says how to create it."""
    password: SecretStr | None = None
