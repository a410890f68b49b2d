from collections.abc import Callable
from pathlib import Path

import pytest
from feedbacks import Box

from demo.corpus.archive import write_corpus
from etl.feedback.build import BuiltVersion, build
from etl.transform import transform
from snap2caption.datasets.version import DatasetVersion

PAIRS = 60


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path / "feedback")


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> DatasetVersion:
    folder = tmp_path_factory.mktemp("corpus")
    archive = write_corpus(folder / "corpus.zip", PAIRS, 0)
    return DatasetVersion.open(str(transform(archive, folder / "out", workers=1)))


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def datasets_uri(tmp_path: Path) -> str:
    return (tmp_path / "datasets").as_uri()


@pytest.fixture
def make(box: Box, corpus: DatasetVersion, state: Path, datasets_uri: str) -> Callable[..., BuiltVersion]:
    """Make a version of what is in the box."""

    def call(corpus_uri: str = corpus.uri) -> BuiltVersion:
        return build(box.uri, datasets_uri, corpus_uri, state, seed=0, workers=1)

    return call
