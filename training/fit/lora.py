"""LoRA adapter on exactly the modules that a recipe names."""

import re
from pathlib import Path
from typing import Any

from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from torch import nn

from snap2caption.errors import UserError
from snap2caption.vlm import quieten_peft
from training.recipes.sections import LoraSettings


def add_adapter(model: nn.Module, settings: LoraSettings) -> Any:
    """Return *model* with a new LoRA adapter; only the adapter's weights are trainable.

    Raises:
        UserError: the target modules match no linear layer, or other modules as well.
    """
    pattern = re.compile(settings.target_modules)
    matched = {name: module for name, module in model.named_modules() if pattern.fullmatch(name)}
    others = [name or "the whole model" for name, module in matched.items() if not isinstance(module, nn.Linear)]
    if not matched or len(others) == len(matched):
        raise UserError(
            f"model.lora.target_modules matches no linear layer of this model; its layers are like {_example(model)}."
        )
    if others:
        raise UserError(
            f"model.lora.target_modules matches more than linear layers, such as {others[0]}; "
            f"name layers like {_example(model)}."
        )
    config = LoraConfig(
        r=settings.r,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        # PEFT matches a string against the whole path. A list of names would match the ends of paths, and so the
        # vision tower as well.
        target_modules=settings.target_modules,
        task_type="CAUSAL_LM",
    )
    quieten_peft()
    return get_peft_model(model, config)


def trainable_parameters(model: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def adapter_parameters(adapter: Path) -> int:
    """Return the number of parameters in the saved *adapter*: all that training changed."""
    return sum(weight.numel() for weight in load_file(adapter / "adapter_model.safetensors").values())


def _example(model: nn.Module) -> str:
    names = [str(name) for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    return next((name for name in names if name.endswith("q_proj") and "vision" not in name), names[-1])
