from dataclasses import dataclass

import pytest
from airflow.sdk.exceptions import AirflowFailException

from plugins.assets import DATASET, dataset_uri

pytestmark = pytest.mark.unit


@dataclass
class Event:
    extra: dict[str, str]


def test_the_uri_of_the_form_wins() -> None:
    context = {"triggering_asset_events": {DATASET: [Event({"uri": "s3://b/d/1"})]}}
    assert dataset_uri("file:///d/2", context) == "file:///d/2"


def test_else_the_newest_event_tells() -> None:
    context = {"triggering_asset_events": {DATASET: [Event({"uri": "s3://b/d/1"}), Event({"uri": "s3://b/d/2"})]}}
    assert dataset_uri("", context) == "s3://b/d/2"


@pytest.mark.parametrize("context", [{}, {"triggering_asset_events": None}, {"triggering_asset_events": {}}])
def test_neither_is_a_failure_that_is_not_tried_again(context: dict[str, object]) -> None:
    with pytest.raises(AirflowFailException, match="trigger the DAG `etl`, or give dataset_uri"):
        dataset_uri("", context)
