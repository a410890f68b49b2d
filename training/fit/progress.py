"""Progress of a training: metrics for the tracker, and a progress bar."""

from collections.abc import Callable
from typing import Any, ClassVar

from transformers import TrainerCallback

from snap2caption.command_line.console import progress_bar

Report = Callable[[dict[str, float], int], None]
"""Callback that receives metrics and the optimizer step that they belong to."""


class MetricsReporter(TrainerCallback):
    """Callback that passes the Trainer's metrics on under this project's names."""

    NAMES: ClassVar = {"loss": "train/loss", "eval_loss": "validation/loss", "learning_rate": "train/learning_rate"}

    def __init__(self, report: Report) -> None:
        self.report = report

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:  # noqa: ARG002
        """Report the metrics that have a name in `NAMES`."""
        metrics = {self.NAMES[name]: value for name, value in logs.items() if name in self.NAMES}
        if metrics:
            self.report(metrics, state.global_step)


class ProgressBar(TrainerCallback):
    """Callback that shows the steps on standard error."""

    def __init__(self) -> None:
        self.progress = progress_bar()
        self.task = self.progress.add_task("training", total=None)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Start the bar."""
        self.progress.update(self.task, total=state.max_steps, completed=state.global_step)
        self.progress.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Advance the bar."""
        self.progress.update(self.task, completed=state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Stop the bar, and leave it on the screen."""
        self.progress.stop()
