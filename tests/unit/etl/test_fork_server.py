import os
import subprocess
import sys

import pytest
from patience import LONGEST

from etl.fork_server import start_fork_server

pytestmark = pytest.mark.unit

# In a process of its own: the tests have a fork server already, which has loaded more.
_COMMAND = """
import sys
from importlib.abc import MetaPathFinder
from multiprocessing import forkserver
from etl import transform_cli
from etl.fork_server import start_fork_server
from snap2caption.errors import UserError

running = []

class Watch(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "etl.transform":
            running.append(forkserver._forkserver._forkserver_pid is not None)

if __name__ == "__main__":
    sys.meta_path.insert(0, Watch())
    try:
        transform_cli.transform_slice(sys.argv[1], 0)
    except UserError:
        pass
    assert running == [True], running
    with start_fork_server().Pool(1) as pool:
        assert pool.apply(eval, ["'etl.transform.pipeline' in __import__('sys').modules"])
"""


def test_it_starts_before_a_command_imports_the_transform() -> None:
    command = [sys.executable, "-c", _COMMAND, "/nowhere/.work-" + "0" * 64 + "-1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False)
    assert done.returncode == 0, done.stderr


def test_all_processes_have_one_server() -> None:
    with start_fork_server().Pool(1) as one, start_fork_server().Pool(1) as other:
        assert one.apply(os.getppid) == other.apply(os.getppid) != os.getpid()
