"""The whole system, started and run once for all of these tests as a user would: by the demo, on a small corpus."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.airflow import AirflowClient
from demo.outcome import DemoOutcome
from demo.run import Demo
from snap2caption.registry.client import Registry

PAIRS = 2400
"""As many as `make demo` draws: what the model learns of them is what README promises."""


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def demo(state: Path) -> Iterator[tuple[Demo, DemoOutcome]]:
    """A demo that has run and whose services live on."""
    run = Demo(state, PAIRS)
    with run.run() as outcome:
        yield run, outcome


@pytest.fixture(scope="module")
def outcome(demo: tuple[Demo, DemoOutcome]) -> DemoOutcome:
    return demo[1]


@pytest.fixture(scope="module")
def airflow(outcome: DemoOutcome) -> Iterator[AirflowClient]:
    with AirflowClient(outcome.services.airflow) as client:
        yield client


@pytest.fixture(scope="module")
def registry(outcome: DemoOutcome) -> Registry:
    return Registry(outcome.services.mlflow, "snap2caption")
