"""Arrow without pandas: lists are converted without it, and it is there for those who ask."""

import importlib.util
import subprocess
import sys

import pytest
from patience import LONGEST

pytestmark = pytest.mark.unit

# In a process of its own, as these tests may have imported pandas.
_COMMAND = """
import sys
import pyarrow as pa
from snap2caption.runtime.arrow import skip_pandas

if sys.argv[1] == "skip":
    skip_pandas()
assert pa.array(["a", None]).to_pylist() == ["a", None]
print("pandas" in sys.modules)
frame = pa.table({"number": [1, 2]}).to_pandas()
import pandas
assert frame.number.tolist() == pandas.Series([1, 2]).tolist()
assert pa.Table.from_pandas(frame).to_pydict() == {"number": [1, 2]}
"""


@pytest.mark.parametrize(("asked", "imported"), [("skip", "False"), ("keep", "True")])
def test_lists_are_converted_without_pandas(asked: str, imported: str) -> None:
    assert importlib.util.find_spec("pandas") is not None
    command = [sys.executable, "-c", _COMMAND, asked]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False)
    assert (done.stdout.strip(), done.returncode) == (imported, 0), done.stderr
