from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from corpus_hashtags import write_hashtags
from creators import creator
from demo_service import DemoService, demo_service
from hostile_photos import MAX_PIXELS
from service_process import environment, server
from tiny import recipe_content, write_dataset

from snap2caption.settings import Settings
from training import pipeline
from training.gate import promotion
from training.recipes.loading import parse_recipe

Train = Callable[[int], str]


@pytest.fixture(scope="module")
def installation(tracking_uri: str, models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """An installation with a registered model of its own."""
    state = tmp_path_factory.mktemp("serving")
    return Settings(
        state_dir=state, models_dir=models_dir, mlflow_tracking_uri=tracking_uri, registered_model=state.name
    )


@pytest.fixture(scope="module")
def train(installation: Settings) -> Train:
    """Train a tiny model with a seed, and return its run."""
    dataset = installation.state_dir / "dataset"
    write_dataset(dataset, {"train": 24, "validation": 6, "test": 6})
    write_hashtags(dataset)

    def run(seed: int) -> str:
        content = recipe_content(dataset.as_uri()) | {"tracking": {"experiment_name": installation.registered_model}}
        content["training"] = {**content["training"], "seed": seed}
        return pipeline.train(parse_recipe(content, "the test"), installation)

    return run


@pytest.fixture(scope="module")
def two_versions(installation: Settings, train: Train) -> tuple[str, str]:
    """Two trained runs; the first one is the champion."""
    first, second = train(1), train(2)
    promotion.promote(first, installation, force=True)
    return first, second


@pytest.fixture(scope="module")
def server_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server keeps its log."""
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def url(installation: Settings, two_versions: tuple[str, str], server_folder: Path) -> Iterator[str]:
    with server(server_folder, environment(installation)) as address:
        yield address


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoService]:
    """The demo model in service, with keys, a token for the metrics, and limits that are quickly reached."""
    folder = tmp_path_factory.mktemp("guarded")
    limits = {"max_pixels": MAX_PIXELS, "max_body_bytes": 4 * 2**20, "requests_at_once": 4}
    with demo_service(folder, metrics_token_hash=creator("token"), **limits) as service:
        yield service
