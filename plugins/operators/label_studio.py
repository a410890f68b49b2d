"""Label Studio: tasks out, annotations in.

No operator waits for annotators, who may take days: what they complete starts the next run, by the asset `plugins.assets.ANNOTATIONS`.
"""

from typing import Any

from plugins.links import LabelStudioLink
from plugins.operators.command import CommandOperator


class PushTasksOperator(CommandOperator):
    """Creates a task for each feedback that has none; returns how many were created, and how many there before."""

    template_fields = ("records",)
    operator_extra_links = (LabelStudioLink(),)

    def __init__(self, *, records: Any, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.records = records

    def execute(self, context: Any) -> dict[str, Any]:  # noqa: ARG002
        """Push the records with these keys; with none, only bring the project into step."""
        pushed: dict[str, Any] = (
            self.run("label-studio-push", *self.records) if self.records else self.run("label-studio-project")
        )
        return pushed


class PullAnnotationsOperator(CommandOperator):
    """Deletes what was erased from Label Studio and stores what was completed since the last time; returns what changed."""

    operator_extra_links = (LabelStudioLink(),)

    def execute(self, context: Any) -> dict[str, Any]:  # noqa: ARG002
        """Pull. What was refused is counted in the log."""
        pulled: dict[str, Any] = self.run("label-studio-pull")
        for reason, count in pulled["refused"].items():
            self.log.warning("%d annotations refused: %s", count, reason)
        return pulled
