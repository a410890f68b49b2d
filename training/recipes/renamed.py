"""Renamed settings: former names of recipe settings and their present ones.

The present names are those of transformers, PEFT or MLflow where they mean the same.
"""

import copy
from collections.abc import Mapping
from typing import Any

from snap2caption.errors import UserError

RENAMED: Mapping[str, str] = {
    "model.split_images": "model.do_image_splitting",
    "model.lora.rank": "model.lora.r",
    "model.lora.alpha": "model.lora.lora_alpha",
    "model.lora.dropout": "model.lora.lora_dropout",
    "model.lora.targets": "model.lora.target_modules",
    "optimiser.batch_size": "training.global_micro_batch_size",
    "optimiser.accumulation": "training.gradient_accumulation_steps",
    "optimiser.learning_rate": "training.learning_rate",
    "optimiser.epochs": "training.num_train_epochs",
    "optimiser.warmup": "training.warmup_ratio",
    "optimiser.weight_decay": "training.weight_decay",
    "optimiser.precision": "training.precision",
    "optimiser.gradient_checkpointing": "training.gradient_checkpointing",
    "optimiser.seed": "training.seed",
    "optimiser.threads": "training.threads",
    "optimiser.feature_cache_gib": "training.feature_cache_gib",
    "optimiser.evaluate_every": "training.eval_steps",
    "optimiser.save_every": "training.save_steps",
    "optimiser.patience": "training.early_stopping_patience",
    "optimiser.min_improvement": "training.early_stopping_threshold",
    "tracking.experiment": "tracking.experiment_name",
    "tracking.system_metrics": "tracking.log_system_metrics",
    "tracking.wandb": "tracking.wandb_project",
    # Last: the section by itself, for what is none of its settings.
    "optimiser": "training",
}
"""Former names, as dotted paths, mapped to the present ones."""


def present_name(setting: str) -> str | None:
    """Return the present name of *setting*, a former name of a setting or section; None if it is no former name."""
    section = setting.partition(".")[0]
    return RENAMED.get(setting) or RENAMED.get(section)


def refuse_renamed(content: Mapping[str, Any], where: str) -> None:
    """Check that a recipe's *content* uses no former names; *where* names it in the error message.

    Raises:
        UserError: it does; the message lists all of them with their present names.
    """
    found = [former for former in RENAMED if _holds(content, former)]
    # A section by itself only where nothing in it is known.
    found = [former for former in found if not any(other.startswith(f"{former}.") for other in found)]
    if found:
        names = ", ".join(f"{RENAMED[former]} for {former}" for former in found)
        raise UserError(f"{where}: settings have new names; write {names}.")


def with_present_names(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a stored recipe's *content* with present names in place of former ones."""
    return _renamed(content, RENAMED)


def with_former_names(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a recipe's *content* with former names, from which earlier runs' fingerprints were made."""
    return _renamed(content, {present: former for former, present in RENAMED.items()})


def _renamed(content: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    renamed = copy.deepcopy(dict(content))
    for before, after in names.items():
        if not _holds(renamed, before):
            continue
        *outer, last = before.split(".")
        value = _section(renamed, outer).pop(last)
        *outer, last = after.split(".")
        section = _section(renamed, outer)
        # The section by itself is what is left of it, once its settings have moved.
        section[last] = {**value, **section[last]} if isinstance(value, dict) and last in section else value
    return renamed


def _holds(content: Any, path: str) -> bool:
    for name in path.split("."):
        if not isinstance(content, Mapping) or name not in content:
            return False
        content = content[name]
    return True


def _section(content: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """Return the section at *names*, which is made where there is none."""
    for name in names:
        content = content.setdefault(name, {})
    return content
