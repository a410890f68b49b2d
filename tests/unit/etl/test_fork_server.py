import os
import sys

import pytest

from etl.fork_server import start_fork_server

pytestmark = pytest.mark.unit


def _has_loaded(module: str) -> bool:
    return module in sys.modules


def test_its_processes_have_loaded_the_transform() -> None:
    with start_fork_server().Pool(1) as pool:
        assert pool.apply(_has_loaded, ["etl.transform.pipeline"])


def test_all_processes_have_one_server() -> None:
    with start_fork_server().Pool(1) as one, start_fork_server().Pool(1) as other:
        assert one.apply(os.getppid) == other.apply(os.getppid) != os.getpid()
