"""Settings of Label Studio and of its webhook's receiver, from the environment."""

from pathlib import Path
from typing import Annotated

from pydantic import AnyHttpUrl, Field, SecretStr, StringConstraints
from pydantic_settings import BaseSettings, SettingsConfigDict

from snap2caption.errors import UserError


class LabelStudioSettings(BaseSettings):
    """Where Label Studio is, who we are there, and how its project is to be (``SNAP2CAPTION_LABEL_STUDIO_*``)."""

    model_config = SettingsConfigDict(env_prefix="SNAP2CAPTION_LABEL_STUDIO_", env_ignore_empty=True, extra="ignore")

    url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:8080")
    token: SecretStr | None = None
    """A personal access token, or a legacy token where the organization allows them."""
    token_file: Path | None = None
    """A file that holds the token, instead of `token`."""
    project: Annotated[str, StringConstraints(min_length=3, max_length=50)] = "Snap2Caption feedback"
    """The project's title, by which it is found: installations that share a Label Studio each need one of their own."""
    annotators: int = Field(default=1, ge=1, le=10)
    """How many people annotate each task; 2 or more show how far they agree."""
    photos_uri: str | None = None
    """Where Label Studio finds what the feedback URI holds (``s3://…`` or ``file:///…``); None: there. Swift has an S3 interface, too."""
    webhook_url: AnyHttpUrl | None = None
    """Where Label Studio reaches `snap2caption label-studio-webhook`; None: no webhook, and the daily run finds what is new."""
    webhook_secret: SecretStr | None = Field(default=None, min_length=16)
    """What the webhook's signature is made with."""

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
            "No token for Label Studio; make one in its account settings and put it into SNAP2CAPTION_LABEL_STUDIO_TOKEN, "
            "or into a file that SNAP2CAPTION_LABEL_STUDIO_TOKEN_FILE names."
        )


class AirflowSettings(BaseSettings):
    """Where Airflow is, and who the webhook's receiver is there (``SNAP2CAPTION_AIRFLOW_*``)."""

    model_config = SettingsConfigDict(env_prefix="SNAP2CAPTION_AIRFLOW_", env_ignore_empty=True, extra="ignore")

    url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:8080")
    user: str = "snap2caption-webhook"
    """One that may raise events of assets and nothing else; docs/operations.md tells how to make it."""
    password: SecretStr | None = None
