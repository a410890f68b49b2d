"""Operator that pulls annotations from Label Studio.

No operator waits for annotators, who may take days. What they complete starts the next run, through the asset
`plugins.assets.ANNOTATIONS`.
"""

from typing import Any

from plugins.links import LabelStudioLink
from plugins.operators.command import CommandOperator


class PullAnnotationsOperator(CommandOperator):
    """Deletes erased feedback from Label Studio, stores newly completed annotations; returns what changed."""

    operator_extra_links = (LabelStudioLink(),)

    def execute(self, context: Any) -> dict[str, Any]:  # noqa: ARG002
        """Pull, and log how many annotations were refused, by reason."""
        pulled: dict[str, Any] = self.run("label-studio-pull")
        for reason, count in pulled["refused"].items():
            self.log.warning("%d annotations refused: %s", count, reason)
        return pulled
