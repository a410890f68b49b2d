"""The model registry: which trained adapter is the champion, over MLflow's registered models and aliases."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snap2caption.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow import MlflowClient

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"

ADAPTER_PATH = "artifacts/adapter"
"""Where the adapter lies in a registered model's folder."""


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A registered model: its version in the registry, the run that made it, and the base that its adapter belongs to."""

    version: int
    run_id: str
    base: str
    base_revision: str
    dataset_version: str
    dataset_uri: str


class Registry:
    """The registered model *name* on the MLflow server at *tracking_uri*."""

    def __init__(self, tracking_uri: str, name: str) -> None:
        self.tracking_uri = tracking_uri
        self.name = name

    def client(self) -> "MlflowClient":
        """Return a client of the server."""
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.tracking_uri, registry_uri=self.tracking_uri)

    def by_alias(self, alias: str) -> ModelVersion | None:
        """Return the version that *alias* names, or None."""
        found = self._find(lambda client: client.get_model_version_by_alias(self.name, alias))
        return None if found is None else _read(found)

    def by_run(self, run_id: str) -> ModelVersion | None:
        """Return the version that was registered from the run, or None."""
        found = self._find(lambda client: client.search_model_versions(f"name = '{self.name}' and run_id = '{run_id}'"))
        return _read(found[0]) if found else None

    def resolve(self, reference: str) -> ModelVersion:
        """Return the version that an alias, a version number or a run id names.

        Raises:
            UserError: there is none.
        """
        if reference.isdigit():
            found = self._find(lambda client: client.get_model_version(self.name, reference))
            version = None if found is None else _read(found)
        else:
            version = self.by_alias(reference) or self.by_run(reference)
        if version is None:
            raise UserError(
                f"The registry has no model {self.name} {reference!r}; train one with `snap2caption train`, or see {self.tracking_uri}."
            )
        return version

    def register(self, run_id: str, source: str, tags: dict[str, str]) -> ModelVersion:
        """Register the run's model, once: a run that is registered already keeps its version.

        Args:
            run_id: the run.
            source: the logged model's URI (``models:/m-…``).
            tags: must hold ``base``, ``base_revision``, ``dataset_version`` and ``dataset_uri``.
        """
        if (known := self.by_run(run_id)) is not None:
            return known

        def create(client: "MlflowClient") -> Any:
            if not client.search_registered_models(f"name = '{self.name}'"):
                client.create_registered_model(self.name)
            model_id = source.removeprefix("models:/")
            return client.create_model_version(self.name, source=source, run_id=run_id, tags=tags, model_id=model_id)

        return _read(self._ask(create))

    def promote(self, version: ModelVersion) -> None:
        """Make *version* the champion; the champion before it becomes ``previous``. Doing it twice changes nothing."""
        current = self.by_alias(CHAMPION)
        if current == version:
            return
        # `previous` first: if we are killed in between, the champion in service is untouched and the next try sets the same again.
        if current is not None:
            self._point(PREVIOUS, current)
        self._point(CHAMPION, version)

    def rollback(self) -> ModelVersion:
        """Make the previous champion the champion again, and the other way round.

        Raises:
            UserError: there is no previous champion.
        """
        previous = self.by_alias(PREVIOUS)
        if previous is None:
            raise UserError("There is no previous model to roll back to: only one was ever promoted.")
        self.promote(previous)
        return previous

    def download_adapter(self, version: ModelVersion, folder: Path) -> Path:
        """Download the version's adapter into *folder* and return the adapter's folder."""
        import mlflow

        mlflow.set_tracking_uri(self.tracking_uri)
        folder.mkdir(parents=True, exist_ok=True)
        root = self._ask(
            lambda _: mlflow.artifacts.download_artifacts(
                f"models:/{self.name}/{version.version}", dst_path=str(folder)
            )
        )
        adapter = Path(root) / ADAPTER_PATH
        if not (adapter / "adapter_config.json").is_file():
            raise UserError(f"Version {version.version} of {self.name} holds no adapter; promote another version.")
        return adapter

    def _point(self, alias: str, version: ModelVersion) -> None:
        self._ask(lambda client: client.set_registered_model_alias(self.name, alias, str(version.version)))

    def _find(self, question: "Callable[[MlflowClient], Any]") -> Any:
        """Ask for something that may not be there: None then."""
        from mlflow.exceptions import MlflowException

        def ask(client: "MlflowClient") -> Any:
            try:
                return question(client)
            except MlflowException as error:
                # A version that is not there is the first, an alias that is not there the second.
                if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                    return None
                raise

        return self._ask(ask)

    def _ask(self, question: "Callable[[MlflowClient], Any]") -> Any:
        from mlflow.exceptions import MlflowException

        try:
            return question(self.client())
        except MlflowException as error:
            raise UserError(
                f"MLflow at {self.tracking_uri} refused or did not answer ({error.message}); see its log, or set "
                "SNAP2CAPTION_MLFLOW_TRACKING_URI."
            ) from error


def _read(found: Any) -> ModelVersion:
    tags = found.tags
    try:
        return ModelVersion(
            version=int(found.version),
            run_id=found.run_id,
            base=tags["base"],
            base_revision=tags["base_revision"],
            dataset_version=tags["dataset_version"],
            dataset_uri=tags["dataset_uri"],
        )
    except KeyError as error:
        raise UserError(
            f"Version {found.version} of the registered model lacks its tag {error}; register models with `snap2caption promote`."
        ) from error
