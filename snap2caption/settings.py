"""Settings of an installation, read once at the edge from the environment (``SNAP2CAPTION_*``)."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """Where the services are and where things lie. Credentials of the stores come from their own standard variables (AWS_*, OS_*)."""

    model_config = SettingsConfigDict(env_prefix="SNAP2CAPTION_", extra="ignore")

    state_dir: Path = ROOT / ".snap2caption"
    """Downloads, work in progress, caches and logs."""
    models_dir: Path = ROOT / "models"
    """Base models on disk; a base that is not here is fetched from the hub."""
    configs_dir: Path = ROOT / "configs"
    """Training recipes."""
    datasets_uri: str = (ROOT / ".snap2caption" / "datasets").as_uri()
    """Where dataset versions are loaded to: ``file://``, ``s3://`` or ``swift://``."""
    feedback_uri: str = (ROOT / ".snap2caption" / "feedback").as_uri()
    """Where creators' feedback is kept: ``file://``, ``s3://`` or ``swift://``."""
    store_piece_mib: int = Field(default=128, ge=5)
    """Objects above so many MiB go to a store in pieces of that size: a Static Large Object on Swift, multipart on S3 (5 is its least)."""
    mlflow_tracking_uri: str = "http://127.0.0.1:5000"
    registered_model: str = "snap2caption"
    """The model's name in the MLflow registry."""
    signing_key_file: Path | None = None
    """The private key (PEM) that signs what the gate admits and what is promoted. None: nothing is signed."""
    approval: bool = False
    """Whether a person is asked before a model that the gate has admitted is promoted, where a run's form says nothing else."""
    serving_url: str = "http://127.0.0.1:8000"
    """Where the service is, for links."""
    store_console_url: str = ""
    """Where a person looks into the object store; bucket and key are appended. Empty: no link."""
    store_files_url: str = ""
    """Where a person gets one object, if the console has another address for that; bucket and key are appended."""

    @property
    def shards_dir(self) -> Path:
        """Where what trains on this machine keeps the shards that it fetched."""
        return self.state_dir / "shards"
