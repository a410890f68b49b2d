"""Installation settings, read from the environment (``SNAP2CAPTION_*``)."""

from pathlib import Path
from typing import Any, TypeVar

from platformdirs import user_data_path
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from snap2caption.errors import UserError, validation_message
from snap2caption.shipped import shipped_folder

ROOT = Path(__file__).resolve().parent.parent
"""The parent folder of our packages: the root of a checkout, or ``site-packages``."""


_Settings = TypeVar("_Settings", bound=BaseSettings)


def read_settings(kind: type[_Settings], **given: Any) -> _Settings:
    """Read settings of class *kind* from the environment. Values in *given* take precedence.

    Raises:
        UserError: a variable has an invalid value. The message does not repeat the value, because it may be a
            secret.
    """
    prefix = kind.model_config["env_prefix"]
    try:
        return kind(**given)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        # The location is empty if two variables contradict each other.
        name = str(first["loc"][0]).upper() if first["loc"] else "*"
        raise UserError(f"{prefix}{name} is wrong ({validation_message(first)}); correct it.") from None
    except SettingsError as error:
        raise UserError(f"A variable {prefix}* is wrong ({error}); lists are written as JSON.") from None


def _state_dir() -> Path:
    """Return ``.snap2caption`` in a checkout, else the user's data folder. Nothing is written to ``site-packages``."""
    in_checkout = (ROOT / "pyproject.toml").is_file()
    return ROOT / ".snap2caption" if in_checkout else user_data_path("snap2caption", appauthor=False)


def _beside_state(name: str, settings: dict[str, Any]) -> str:
    return (Path(settings["state_dir"]).absolute() / name).as_uri()


class TaskPod(BaseModel):
    """Image and resources of the pod that runs an Airflow task on Kubernetes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image: str | None = Field(default=None, min_length=1)
    """None: that of the pod template."""
    cpu: str = Field(pattern=r"^[0-9]+(\.[0-9]+)?m?$")
    """Processors, as Kubernetes writes them: ``2`` or ``500m``."""
    memory: str = Field(pattern=r"^[0-9]+(Ki|Mi|Gi|Ti)$")
    """Memory, such as ``16Gi``. A pod that exceeds it is killed, so that no other one suffers."""
    gpu: int = Field(default=0, ge=0)
    """GPUs (``nvidia.com/gpu``)."""


class Settings(BaseSettings):
    """Addresses of the services, and folders.

    The stores' credentials come from their own standard variables (AWS_*, OS_*).
    """

    model_config = SettingsConfigDict(env_prefix="SNAP2CAPTION_", extra="ignore")

    state_dir: Path = Field(default_factory=_state_dir)
    """Downloads, work in progress, caches and logs."""
    models_dir: Path = shipped_folder("snap2caption", "models")
    """Base models on disk. A base model that is not here is fetched from the hub."""
    configs_dir: Path = shipped_folder("snap2caption", "configs")
    """Training recipes."""
    work_uri: str = Field(default_factory=lambda settings: _beside_state("work", settings))
    """Where Airflow's ETL keeps its downloads, its work in progress and the versions that it makes: ``file://`` on a disk
    that all workers share, or ``s3://`` or ``swift://``, with which they need to share none.
    """
    datasets_uri: str = Field(default_factory=lambda settings: _beside_state("datasets", settings))
    """Where dataset versions are stored: ``file://``, ``s3://`` or ``swift://``."""
    feedback_uri: str = Field(default_factory=lambda settings: _beside_state("feedback", settings))
    """Where creators' feedback is stored: ``file://``, ``s3://`` or ``swift://``."""
    store_piece_mib: int = Field(default=128, ge=5)
    """Objects larger than this many MiB are uploaded in parts of that size: a Static Large Object on Swift, a
    multipart upload on S3, whose minimum is 5.
    """
    mlflow_tracking_uri: str = "http://127.0.0.1:5000"
    registered_model: str = "snap2caption"
    """The model's name in the MLflow registry."""
    signing_key_file: Path | None = None
    """The private key (PEM) that signs adapters that pass the gate or are promoted. None: nothing is signed."""
    approval: bool = False
    """Whether a person must approve the promotion of a model that passed the gate. The form of a DAG run can override
    it.
    """
    task_pods: dict[str, TaskPod] = Field(default_factory=dict)
    """Image and resources of Airflow's tasks on KubernetesExecutor, as JSON: by ``DAG.TASK``, and ``default`` for all
    others. Other executors ignore them.
    """
    task_pods_file: Path | None = None
    """A file with that table, which counts instead. It is read at each parse of a DAG, so that a change needs no restart."""
    serving_url: str = "http://127.0.0.1:8000"
    """The address of the caption service, for links."""
    store_console_url: str = ""
    """Where a person looks into the object store; bucket and key are appended. Empty: no link."""
    store_files_url: str = ""
    """Where a person gets one object, if the console has another address for that; bucket and key are appended."""

    @property
    def shards_dir(self) -> Path:
        """Where training on this machine caches the shards that it downloads."""
        return self.state_dir / "shards"
