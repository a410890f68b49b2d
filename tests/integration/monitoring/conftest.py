from collections.abc import Iterator

import pytest
from watched_service import World, watched_service


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with watched_service(tmp_path_factory.mktemp("alerts")) as world:
        yield world
