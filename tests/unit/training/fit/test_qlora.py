"""QLoRA for real, on the processor.

In a process of its own: PEFT imports bitsandbytes wherever it finds it, so it lies in a folder apart.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from families import FAMILIES

from snap2caption.errors import UserError
from snap2caption.vlm import check_4bit, load

pytestmark = pytest.mark.unit

BITSANDBYTES = Path(sys.prefix) / "qlora"
"""Where `make test` puts it."""

QLORA = """
import json, sys
from pathlib import Path
import torch
from snap2caption.vlm import load
from training.data.collator import SampleCollator
from training.data.samples import CachedDataset, evaluation_prompt
from training.fit.finetune import finetune
from training.recipes.loading import load_recipe

models, work, recipe_file = map(Path, sys.argv[1:])
recipe = load_recipe(recipe_file)
dataset = CachedDataset.open(recipe.data.version_uri(), work / "shards")
vlm = load(recipe.model.base, models, dtype=recipe.training.precision, load_in_4bit=True)
named = {name: weight for name, weight in vlm.model.named_parameters()}
packed = {name for name, weight in named.items() if type(weight).__name__ == "Params4bit"}
before = {name: weight.clone() for name, weight in named.items()}
losses = []
samples = dataset.samples("train"), dataset.samples("validation")
adapter = finetune(vlm, *samples, recipe, work, lambda metrics, _: losses.append(metrics))
batch = SampleCollator(vlm, evaluation_prompt)(dataset.samples("test"))
whole = load(recipe.model.base, models, dtype=recipe.training.precision, adapter=adapter)
with torch.no_grad():
    logits = [each.model(**batch).logits.float() for each in (vlm, whole)]
trained = {name: weight for name, weight in vlm.model.named_parameters() if weight.requires_grad}
print(json.dumps({
    "packed": sorted(packed),
    # Packed weights change their layout when they are first used.
    "untouched": all(torch.equal(before[name], weight) for name, weight in named.items() if name not in packed),
    "trained": sorted({str(weight.dtype) for weight in trained.values()}),
    "validation": [metrics["validation/loss"] for metrics in losses if "validation/loss" in metrics],
    "likeness": torch.nn.functional.cosine_similarity(*(each.flatten() for each in logits), dim=0).item(),
}))
"""


@pytest.mark.skipif(not BITSANDBYTES.is_dir(), reason="make test installs bitsandbytes for this")
def test_an_adapter_learns_on_4_bits_and_serves_on_16(families_dir, recipe, tmp_path):
    content = recipe.model_dump()
    family = FAMILIES["tiny-llava-1.5"]
    content["model"] |= {"base": family.name, "load_in_4bit": True}
    content["model"]["lora"]["target_modules"] = family.language
    content["training"] |= {"precision": "bfloat16", "gradient_checkpointing": True, "learning_rate": 1e-2}
    recipe_file = tmp_path / "recipe.yaml"
    recipe_file.write_text(json.dumps(content))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([*filter(None, sys.path), str(BITSANDBYTES)])}
    command = [sys.executable, "-c", QLORA, str(families_dir), str(tmp_path), str(recipe_file)]
    finished = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert finished.returncode == 0, finished.stderr
    seen = json.loads(finished.stdout.splitlines()[-1])
    assert len(seen["packed"]) == 2 * 7
    assert all("language_model.layers" in name for name in seen["packed"])
    assert seen["untouched"]
    assert seen["trained"] == ["torch.float32"]
    assert seen["validation"][-1] < seen["validation"][0]
    # The 4 bits cost precision, and no more.
    assert seen["likeness"] > 0.9


def test_without_bitsandbytes_it_says_what_to_install(families_dir):
    for ask in (check_4bit, lambda: load("tiny-llava-1.5", families_dir, dtype="bfloat16", load_in_4bit=True)):
        with pytest.raises(UserError, match=r"needs bitsandbytes; install snap2caption with its extra `qlora`"):
            ask()
