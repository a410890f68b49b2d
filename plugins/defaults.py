"""Default arguments and trigger-form parameters that several DAGs share."""

from datetime import timedelta
from typing import Any

from airflow.sdk import Param

from snap2caption.settings import Settings

DEFAULT_ARGS: dict[str, Any] = {
    "retries": 2,
    "retry_delay": timedelta(seconds=5),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=5),
}
"""Default arguments of the tasks in every DAG."""

APPROVAL = Param(
    Settings().approval,
    type="boolean",
    title="Approval",
    description="Ask a person before promoting a model that the gate admitted.",
)


def overrides(example: str) -> Param:
    """Return the parameter ``overrides``, described with an *example* such as ``gate.margin=0.1``."""
    return Param(
        [],
        type="array",
        items={"type": "string", "pattern": "^[a-z_0-9.]+=.*$"},
        title="Overrides",
        description=f"Settings of the recipe to change, such as {example}, one per line.",
    )
