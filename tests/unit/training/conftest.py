from collections.abc import Callable
from pathlib import Path

import pytest
from families import FAMILIES
from tiny import BASE, recipe_content

from snap2caption.vlm import VisionLanguageModel, load
from training.data.samples import CachedDataset
from training.recipes.recipe import Recipe


@pytest.fixture(scope="session")
def families_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model of each family."""
    folder = tmp_path_factory.mktemp("families")
    for family in FAMILIES.values():
        family.write(folder)
    return folder


@pytest.fixture
def load_tiny(models_dir: Path) -> Callable[..., VisionLanguageModel]:
    def load_it(adapter: Path | None = None) -> VisionLanguageModel:
        return load(BASE, models_dir, adapter=adapter)

    return load_it


@pytest.fixture
def dataset(dataset_dir: Path, tmp_path: Path) -> CachedDataset:
    return CachedDataset.open(dataset_dir.as_uri(), tmp_path / "shards")


@pytest.fixture
def recipe(dataset_dir: Path) -> Recipe:
    return Recipe.model_validate(recipe_content(dataset_dir.as_uri()))
