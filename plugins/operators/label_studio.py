"""Operators for Label Studio: push tasks, pull annotations.

No operator waits for annotators, who may take days. What they complete starts the next run, through the asset
`plugins.assets.ANNOTATIONS`.
"""

from typing import Any

from plugins.links import LabelStudioLink
from plugins.operators.command import CommandOperator


class PushTasksOperator(CommandOperator):
    """Creates a task for each feedback that has none; returns how many were created, and how many existed before."""

    template_fields = ("records",)
    operator_extra_links = (LabelStudioLink(),)

    def __init__(self, *, records: Any, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.records = records

    def execute(self, context: Any) -> dict[str, Any]:  # noqa: ARG002
        """Push the records with these keys. Without keys, only update the project."""
        pushed: dict[str, Any] = (
            self.run("label-studio-push", *self.records) if self.records else self.run("label-studio-project")
        )
        return pushed


class PullAnnotationsOperator(CommandOperator):
    """Deletes erased feedback from Label Studio, stores newly completed annotations; returns what changed."""

    operator_extra_links = (LabelStudioLink(),)

    def execute(self, context: Any) -> dict[str, Any]:  # noqa: ARG002
        """Pull, and log how many annotations were refused, by reason."""
        pulled: dict[str, Any] = self.run("label-studio-pull")
        for reason, count in pulled["refused"].items():
            self.log.warning("%d annotations refused: %s", count, reason)
        return pulled
