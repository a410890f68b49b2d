"""vLLM, as `make test-vllm` installs it, over the demo base, and an adapter that changes what the base writes."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from demo.stack.ports import HOST, Ports
from demo.stack.service import Service
from demo.stack.stack import Stack
from snap2caption.settings import ROOT
from snap2caption.vlm import load, quieten_peft

BASE = "demo-base"
KEY = "secret"

_RANK = 8


def write_base(folder: Path) -> None:
    """Copy the demo base into *folder*, with the names of weights that vLLM reads: those of published checkpoints."""
    shutil.copytree(ROOT / "models" / BASE, folder)
    path = folder / "model.safetensors"
    weights = load_file(path)
    renamed = {name.replace("vision_tower.", "vision_tower.vision_model."): value for name, value in weights.items()}
    save_file(renamed, path, metadata={"format": "pt"})


def write_adapter(folder: Path) -> None:
    """Write an adapter of random weights for the demo base into *folder*."""
    quieten_peft()
    vlm = load(BASE, ROOT / "models")
    torch.manual_seed(1)
    layers = r".*language_model.*\.(q_proj|v_proj)"
    config = LoraConfig(r=_RANK, lora_alpha=4 * _RANK, init_lora_weights=False, target_modules=layers)
    replace(vlm, model=get_peft_model(vlm.model, config)).save_adapter(folder)


@contextmanager
def vllm_server(folder: Path, base: Path, max_loras: int) -> Iterator[str]:
    """Run vLLM in *folder* and return its URL. *max_loras* is its limit of adapters in a batch."""
    port = Ports(folder / "ports.json").get("vllm")
    options = {
        "--host": HOST,
        "--port": port,
        "--served-model-name": BASE,
        "--api-key": KEY,
        "--max-lora-rank": _RANK,
        "--max-loras": max_loras,
        "--max-model-len": 512,
        "--dtype": "float32",
    }
    arguments = [str(word) for option in options.items() for word in option]
    variables = {
        "HF_HUB_OFFLINE": "1",
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_NO_USAGE_STATS": "1",
    }
    serving = Service(
        name="vllm",
        command=(f"{os.environ['TEST_VLLM']}/vllm", "serve", str(base), "--enable-lora", "--enforce-eager", *arguments),
        environment=os.environ | variables,
        ready_url=f"http://{HOST}:{port}/health",
        timeout=600.0,
    )
    with Stack(folder) as stack:
        stack.start([serving])
        yield f"http://{HOST}:{port}"
