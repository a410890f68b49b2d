"""Trainer callbacks: stop on SIGTERM, stop at divergence, and early stopping."""

import logging
import signal
import threading
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Any

import torch
from transformers import TrainerCallback

from snap2caption.errors import UserError
from training.distributed import Ranks
from training.recipes.sections import TrainingSettings

logger = logging.getLogger(__name__)

LOSS = "eval_loss"
"""Name of the validation loss in the Trainer's history."""


class StopOnSignal(TrainerCallback):
    """Callback that saves a checkpoint and stops after the current step when any process receives SIGTERM.

    As a context manager it installs its signal handler, and restores the previous one.
    """

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks
        self.stop_requested = False

    def __enter__(self) -> None:
        # Python allows signal handlers in the main thread only; in other threads the caller handles signals.
        if threading.current_thread() is threading.main_thread():
            self.before = signal.signal(signal.SIGTERM, self._request_stop)

    def __exit__(self, *_: object) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self.before)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:  # noqa: ARG002
        """Save and stop if any process received SIGTERM, after the same step in all processes.

        It skips the validation loss, because whoever stops the training may not wait for it.
        """
        (requests,) = self.ranks.all_reduce_sum([float(self.stop_requested)])
        self.stop_requested = requests > 0
        if self.stop_requested:
            control.should_save = True
            control.should_evaluate = False
            control.should_training_stop = True
        return control

    def _request_stop(self, _: int, __: FrameType | None) -> None:
        logger.info("received SIGTERM: saving a checkpoint")
        self.stop_requested = True


class StopAtDivergence(TrainerCallback):
    """Callback that ends the training in all processes after the first step whose loss is not finite.

    Nothing of that step is saved. *losses* are those of the step's batches in this process. They are read once per
    step, because reading them synchronizes with the device.
    """

    def __init__(self, ranks: Ranks, losses: list[torch.Tensor]) -> None:
        self.ranks = ranks
        self.losses = losses

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Check the step's losses.

        Raises:
            UserError: one of them is infinite or NaN, in any process.
        """
        finite = bool(torch.stack(self.losses).isfinite().all()) if self.losses else True
        self.losses.clear()
        (elsewhere,) = self.ranks.all_reduce_sum([float(not finite)])
        if elsewhere:
            raise divergence_error("training", state.global_step)


def divergence_error(what: str, step: int) -> UserError:
    """Return the error for a *what* loss that is no longer finite after *step*."""
    return UserError(
        f"The {what} loss is not a finite number after step {step}: the training has diverged. "
        "Lower training.learning_rate, or raise training.warmup_ratio; "
        "with training.precision=float16, set it to bfloat16."
    )


class StopEarly(TrainerCallback):
    """Callback for early stopping: it ends the training when the validation loss has stopped falling."""

    def __init__(self, settings: TrainingSettings) -> None:
        self.settings = settings

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> Any:  # noqa: ARG002
        """Stop if the history of validation losses says so."""
        if should_stop_early(state.log_history, self.settings):
            control.should_training_stop = True
        return control


def should_stop_early(history: Sequence[Mapping[str, Any]], settings: TrainingSettings) -> bool:
    """Return whether the last ``early_stopping_patience`` validation losses did not improve on the best one before.

    It depends only on a Trainer's *history*, which checkpoints hold, so a resumed run decides as an uninterrupted
    one does.
    """
    if settings.early_stopping_patience is None:
        return False
    best, since = float("inf"), 0
    for _, loss in validation_losses(history):
        # With this comparison, NaN never counts as an improvement.
        if loss < best - settings.early_stopping_threshold:
            best, since = loss, 0
        else:
            since += 1
    return since >= settings.early_stopping_patience


def best_step(history: Sequence[Mapping[str, Any]]) -> int | None:
    """Return the step with the lowest validation loss, the first of several; None if no loss is a number."""
    losses = [(loss, step) for step, loss in validation_losses(history) if loss == loss]
    return min(losses)[1] if losses else None


def validation_losses(history: Sequence[Mapping[str, Any]]) -> list[tuple[int, float]]:
    """Return the validation losses in a Trainer's *history*, as pairs of step and loss."""
    return [(entry["step"], entry[LOSS]) for entry in history if LOSS in entry]
