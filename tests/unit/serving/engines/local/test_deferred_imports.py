"""Deferred imports: in a process of its own, since others here import all of it."""

import subprocess
import sys

import pytest
from patience import LONGEST

pytestmark = pytest.mark.unit

_SCRIPT = """
import sys
from serving.engines.local.deferred_imports import defer_imports
from serving.engines.local.loader import LocalLoader
from serving.settings import ServingSettings
from snap2caption.settings import Settings

with defer_imports():
    LocalLoader(ServingSettings(), Settings().models_dir, compiled=False).load_untrained("demo-base")
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


def test_a_model_loads_without_what_only_training_calls() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, timeout=LONGEST, check=False)
    assert done.returncode == 0, done.stderr
