"""Tags of registered versions, which any number of processes may set at once."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

_TRIES = 3


def set_version_tag(client: "MlflowClient", model: str, number: int, name: str, value: str) -> None:
    """Set a tag of version *number* of the registered model *model*. It replaces an earlier value.

    MLflow looks whether the tag exists, and inserts it if not. If two processes do so at the same moment, the database
    refuses one of them. That one tries again, and replaces what the other has inserted.

    Raises:
        MlflowException: MLflow refused the request or did not answer.
    """
    from mlflow.exceptions import MlflowException

    for left in reversed(range(_TRIES)):
        try:
            client.set_model_version_tag(model, str(number), name, value)
        except MlflowException as error:
            # The code of all errors of the database.
            if not left or error.error_code != "BAD_REQUEST":
                raise
        else:
            return
