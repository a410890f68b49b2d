"""The service and its monitoring, which the tests of a module share.

Once a test with them has failed, the module's others with them fail at once: they go on from a state that nobody knows,
and each would wait for what never happens. So a run that fails takes no longer than one such wait.
"""

from collections.abc import Generator, Iterator

import pytest
from watched_service import World, watched_service

_FAILED = pytest.StashKey[str]()
"""The first test of a module that failed."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with watched_service(tmp_path_factory.mktemp("alerts")) as world:
        yield world


def _shares_the_world(item: pytest.Item) -> bool:
    return "world" in getattr(item, "fixturenames", ())


def pytest_runtest_setup(item: pytest.Item) -> None:
    module = item.getparent(pytest.Module)
    if module and _shares_the_world(item) and (name := module.stash.get(_FAILED, None)):
        pytest.fail(f"Not run, because {name} failed before it.", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    module = item.getparent(pytest.Module)
    if module and report.failed and _shares_the_world(item):
        module.stash.setdefault(_FAILED, item.name)
    return report
