"""What ends a training early: a signal, or a validation loss that no longer falls."""

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
"""The validation loss's name in the Trainer's history."""


class StopOnSignal(TrainerCallback):
    """Lets the step in progress end when SIGTERM comes to any process, saves a checkpoint, and stops. A context: it puts the old handler back."""

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks
        self.asked = False

    def __enter__(self) -> None:
        # Handlers belong to the main thread; elsewhere whoever runs us handles signals.
        if threading.current_thread() is threading.main_thread():
            self.before = signal.signal(signal.SIGTERM, self._ask)

    def __exit__(self, *_: object) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self.before)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:  # noqa: ARG002
        """Save and stop if asked to, all processes after the same step; who stops us may not wait for the validation loss."""
        (askers,) = self.ranks.total([float(self.asked)])
        self.asked = askers > 0
        if self.asked:
            control.should_save = True
            control.should_evaluate = False
            control.should_training_stop = True
        return control

    def _ask(self, _: int, __: FrameType | None) -> None:
        logger.info("asked to stop: saving a checkpoint")
        self.asked = True


class StopAtDivergence(TrainerCallback):
    """Ends the training after the first step with a loss that is no number, in all processes, before anything of it is saved.

    *losses* are those of the step's batches in this process; they are looked at once a step, since that waits for the device.
    """

    def __init__(self, ranks: Ranks, losses: list[torch.Tensor]) -> None:
        self.ranks = ranks
        self.losses = losses

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Look at the step's losses.

        Raises:
            UserError: one is infinite or NaN.
        """
        finite = bool(torch.stack(self.losses).isfinite().all()) if self.losses else True
        self.losses.clear()
        (elsewhere,) = self.ranks.total([float(not finite)])
        if elsewhere:
            raise diverged("training", state.global_step)


def diverged(what: str, step: int) -> UserError:
    """Return the error of a training whose *what* loss is no number any more after *step*."""
    return UserError(
        f"The {what} loss is not a finite number after step {step}: the training has diverged. Lower training.learning_rate, "
        "or raise training.warmup_ratio; with training.precision=float16, take bfloat16."
    )


class StopEarly(TrainerCallback):
    """Ends the training when the validation loss has stopped falling."""

    def __init__(self, settings: TrainingSettings) -> None:
        self.settings = settings

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> Any:  # noqa: ARG002
        """Look at what was measured so far."""
        if is_over(state.log_history, self.settings):
            control.should_training_stop = True
        return control


def is_over(history: Sequence[Mapping[str, Any]], settings: TrainingSettings) -> bool:
    """Whether the last ``patience`` validation losses of a Trainer's *history* have not improved on the best before them.

    It depends on the history alone, which checkpoints hold: so a resumed run decides as an uninterrupted one does.
    """
    if settings.early_stopping_patience is None:
        return False
    best, since = float("inf"), 0
    for _, loss in measured(history):
        # So written, a loss that is no number never improves.
        if loss < best - settings.early_stopping_threshold:
            best, since = loss, 0
        else:
            since += 1
    return since >= settings.early_stopping_patience


def best_step(history: Sequence[Mapping[str, Any]]) -> int | None:
    """Return the step after which the validation loss was the lowest, the first of several; None if it never was a number."""
    losses = [(loss, step) for step, loss in measured(history) if loss == loss]
    return min(losses)[1] if losses else None


def measured(history: Sequence[Mapping[str, Any]]) -> list[tuple[int, float]]:
    """Return the validation losses of a Trainer's *history*, each with its step."""
    return [(entry["step"], entry[LOSS]) for entry in history if LOSS in entry]
