"""Extra links on tasks in the Airflow UI, which lead to what a task made."""

from typing import Any, ClassVar
from urllib.parse import urlsplit

from airflow.plugins_manager import AirflowPlugin
from airflow.sdk import BaseOperator, BaseOperatorLink

from snap2caption.redaction import redact_url
from snap2caption.settings import Settings


class _ResultLink(BaseOperatorLink):
    """A link made from the operator's ``result``, which its ``execute`` returned."""

    # The signature is Airflow's. The link is made in the task's process, right after the operator ran.
    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:  # noqa: ARG002
        """Return the address, or an empty string before there is one."""
        result = getattr(operator, "result", None)
        # Airflow stores the link and shows it to everyone who may see the task.
        return self.shown(self.address(result, Settings())) if result else ""

    def shown(self, address: str) -> str:
        """Return *address* without secrets."""
        return redact_url(address)

    def address(self, result: Any, settings: Settings) -> str:
        """Return the address that belongs to *result*."""
        raise NotImplementedError


class MlflowRunLink(_ResultLink):
    """The training run in MLflow."""

    name = "MLflow run"

    def address(self, result: Any, settings: Settings) -> str:
        """Return the run's page; *result* is the run's id or a document that holds it."""
        run_id = result if isinstance(result, str) else result["run_id"]
        return f"{settings.mlflow_tracking_uri}/#/runs/{run_id}"


class ReportLink(_ResultLink):
    """The report of the run's evaluation, with pictures."""

    name = "Evaluation report"

    def address(self, result: Any, settings: Settings) -> str:  # noqa: ARG002
        """Return the page that the command named."""
        return str(result["report"])


class ModelVersionLink(_ResultLink):
    """The promoted version in the registry."""

    name = "Registered model"

    def address(self, result: Any, settings: Settings) -> str:
        """Return the version's page; *result* holds its number."""
        return f"{settings.mlflow_tracking_uri}/#/models/{settings.registered_model}/versions/{result['version']}"


class ServiceLink(_ResultLink):
    """The service that serves the promoted version."""

    name = "Service"

    def address(self, result: Any, settings: Settings) -> str:  # noqa: ARG002
        """Return the service's API page."""
        return f"{settings.serving_url}/docs"


class DatasetLink(_ResultLink):
    """The dataset version in the object store."""

    name = "Object store"

    def address(self, result: Any, settings: Settings) -> str:
        """Return the page of the version's folder; *result* holds its URI."""
        parts = urlsplit(result["uri"])
        return f"{settings.store_console_url}/{parts.netloc}{parts.path}/" if settings.store_console_url else ""

    def shown(self, address: str) -> str:
        """Return *address* without a login. Query parameters stay, since a console may take the path as one."""
        parts = urlsplit(address)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


class DataCardLink(DatasetLink):
    """The page that shows what is in the dataset version."""

    name = "Data card"

    def address(self, result: Any, settings: Settings) -> str:
        """Return the card's page; *result* holds the version's URI."""
        parts, files = urlsplit(result["uri"]), settings.store_files_url or settings.store_console_url
        return f"{files}/{parts.netloc}{parts.path}/card.html" if files else ""


class LabelStudioLink(_ResultLink):
    """The project in Label Studio."""

    name = "Label Studio project"

    def address(self, result: Any, settings: Settings) -> str:  # noqa: ARG002
        """Return the project's page, which the command named."""
        return str(result["project"])


class Snap2CaptionPlugin(AirflowPlugin):
    """Registers the links with Airflow."""

    name = "snap2caption"
    operator_extra_links: ClassVar[list[Any]] = [
        MlflowRunLink(),
        ReportLink(),
        ModelVersionLink(),
        ServiceLink(),
        DatasetLink(),
        DataCardLink(),
        LabelStudioLink(),
    ]
