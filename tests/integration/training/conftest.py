from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from tiny import recipe_content

from snap2caption.settings import Settings
from training.recipes.recipe import Recipe
from training.tracking.runs import connect


@pytest.fixture
def settings(tracking_uri: str, models_dir: Path, tmp_path: Path) -> Settings:
    """An installation with a registered model of its own, so that no test sees another's champion."""
    return Settings(
        state_dir=tmp_path / "state",
        models_dir=models_dir,
        mlflow_tracking_uri=tracking_uri,
        registered_model=tmp_path.name,
    )


@pytest.fixture
def client(settings: Settings) -> MlflowClient:
    return connect(settings.mlflow_tracking_uri)


@pytest.fixture
def recipe_with(dataset_dir: Path, tmp_path: Path) -> Callable[..., Recipe]:
    """Make a recipe; ``section={"setting": value}`` changes it. Each test has an experiment of its own.

    What the machine does meanwhile is left out: it is never the same twice.
    """

    def make(**changes: dict[str, object]) -> Recipe:
        content = recipe_content(dataset_dir.as_uri()) | {
            "tracking": {"experiment_name": tmp_path.name, "log_system_metrics": False}
        }
        for section, values in changes.items():
            content[section] = {**content.get(section, {}), **values}
        return Recipe.model_validate(content)

    return make
