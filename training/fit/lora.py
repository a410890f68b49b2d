"""LoRA adapter on exactly the modules that a recipe names: a new one, or one that was trained before."""

import json
import re
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from snap2caption.errors import UserError
from snap2caption.registry.adapters import WEIGHTS, check_weights
from snap2caption.vlm import quieten_peft
from training.recipes.sections import LoraSettings


def add_adapter(model: nn.Module, settings: LoraSettings, initial: Path | None = None) -> Any:
    """Return *model* with a LoRA adapter; only the adapter's weights are trainable.

    It is a new one that changes nothing yet, or the one in the folder *initial*.

    Raises:
        UserError: the target modules match no linear layer, or other modules as well; or *initial* does not fit.
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
    adapted = get_peft_model(model, config)
    if initial is not None:
        set_peft_model_state_dict(adapted, load_initial_weights(adapted, settings, initial))
    return adapted


def load_initial_weights(model: Any, settings: LoraSettings, initial: Path) -> dict[str, torch.Tensor]:
    """Return the weights of the adapter in the folder *initial*, which training is to begin with.

    *model* has an adapter by *settings*, perhaps of fake tensors.

    Raises:
        UserError: *initial* is damaged, or has other matrices or another factor than *settings*.
    """
    check_weights(initial)
    try:
        weights = load_file(initial / WEIGHTS)
        # Read here, because PEFT would ask the hub for a missing one.
        its = json.loads((initial / "adapter_config.json").read_bytes())
        r, lora_alpha, target_modules = (its[name] for name in ("r", "lora_alpha", "target_modules"))
    except (ValueError, TypeError, KeyError, OSError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"The adapter of model.initial_adapter is damaged ({reason}); train its run again with --force."
        ) from error
    wanted = {name: weight.shape for name, weight in get_peft_model_state_dict(model).items()}
    same_factor = lora_alpha * settings.r == settings.lora_alpha * r
    if {name: weight.shape for name, weight in weights.items()} != wanted or not same_factor:
        raise UserError(
            f"The adapter of model.initial_adapter has r={r}, lora_alpha={lora_alpha:g} and "
            f"target_modules={target_modules}, and the recipe has others; training can't change them, so add "
            f"model.lora.r={r} model.lora.lora_alpha={lora_alpha:g}, and name the same target modules."
        )
    return weights


def trainable_parameters(model: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def adapter_parameters(adapter: Path) -> int:
    """Return the number of parameters in the saved *adapter*: all that training changed."""
    return sum(weight.numel() for weight in load_file(adapter / WEIGHTS).values())


def _example(model: nn.Module) -> str:
    names = [str(name) for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    return next((name for name in names if name.endswith("q_proj") and "vision" not in name), names[-1])
