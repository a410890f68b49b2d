"""Airflow assets, which one DAG produces and another waits for."""

from collections.abc import Mapping
from typing import Any

from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowFailException

DATASET = Asset("snap2caption_dataset")
"""A dataset version in the object store. Each event carries the version's URI as ``extra["uri"]``."""

ANNOTATIONS = Asset("snap2caption://annotations")
"""Annotations completed in Label Studio. An event says only that there is something to pull."""


def dataset_uri(given: str, context: Mapping[str, Any]) -> str:
    """Return the URI of the dataset version to work on.

    It is the one *given* in the trigger form, or else that of the newest event that started the run.

    Raises:
        AirflowFailException: there is neither. A retry would not help.
    """
    if given:
        return given
    events = (context.get("triggering_asset_events") or {}).get(DATASET, [])
    if not events:
        raise AirflowFailException("No dataset: trigger the DAG `etl`, or give dataset_uri in the trigger form.")
    return str(events[-1].extra["uri"])


def newest_dataset_uri(given: str, context: Mapping[str, Any]) -> str:
    """Return the URI of the dataset version to work on.

    It is the one *given* in the trigger form, or else the newest that was ever loaded. The task must have the dataset
    asset among its inlets.

    Raises:
        AirflowFailException: no version was ever loaded. A retry would not help.
    """
    if given:
        return given
    newest = list(context["inlet_events"][DATASET].ascending(False).limit(1))
    if not newest:
        raise AirflowFailException("No dataset: trigger the DAG `etl`, or give dataset_uri in the trigger form.")
    return str(newest[0].extra["uri"])
