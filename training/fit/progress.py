"""What is shown and told of a training while it runs."""

from collections.abc import Callable
from typing import Any, ClassVar

from transformers import TrainerCallback

from snap2caption.console import progress_bar

Report = Callable[[dict[str, float], int], None]
"""Takes metrics and the optimizer step that they belong to."""


class MetricsReporter(TrainerCallback):
    """Hands the Trainer's metrics on under our names."""

    NAMES: ClassVar = {"loss": "train/loss", "eval_loss": "validation/loss", "learning_rate": "train/learning_rate"}

    def __init__(self, report: Report) -> None:
        self.report = report

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:  # noqa: ARG002
        """Pass on what is ours."""
        metrics = {self.NAMES[name]: value for name, value in logs.items() if name in self.NAMES}
        if metrics:
            self.report(metrics, state.global_step)


class ProgressBar(TrainerCallback):
    """Shows the steps on standard error."""

    def __init__(self) -> None:
        self.progress = progress_bar()
        self.task = self.progress.add_task("training", total=None)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Draw the bar."""
        self.progress.update(self.task, total=state.max_steps, completed=state.global_step)
        self.progress.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Advance it."""
        self.progress.update(self.task, completed=state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Leave it as it is."""
        self.progress.stop()
