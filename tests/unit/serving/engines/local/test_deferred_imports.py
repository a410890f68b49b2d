"""Deferred imports: in a process of its own, since others here import all of it."""

import subprocess
import sys
from pathlib import Path

import pytest
from patience import LONGEST

pytestmark = pytest.mark.unit

_SCRIPT = """
import sys
from pathlib import Path
from serving.offline.caption import open_captioner
from serving.settings import ServingSettings

with open_captioner(ServingSettings(model="demo-base", cache_dir=Path(sys.argv[1]))):
    pass
heavy = ("torch._dynamo", "torch.distributed.tensor", "accelerate", "boto3", "numba", "peft", "scipy", "sklearn")
assert not [name for name in heavy if name in sys.modules], "imported at once"

from transformers import masking_utils
from transformers.distributed import parallel_utils
from transformers.loss import loss_for_object_detection

stand_in = parallel_utils.DTensor
assert not isinstance(object(), stand_in)
rows, columns = loss_for_object_detection.linear_sum_assignment([[2, 1], [1, 2]])
assert (list(rows), list(columns)) == ([0, 1], [1, 0]), "called for real"
with masking_utils.TransformGetItemToIndex():
    pass
from torch.distributed.tensor import DTensor

assert not isinstance(object(), stand_in)
import torch

assert torch._dynamo.is_compiling() is False
assert torch.compiler.disable(len)([1]) == 1
"""


def test_a_post_is_captioned_without_what_only_others_call(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _SCRIPT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False)
    assert done.returncode == 0, done.stderr
