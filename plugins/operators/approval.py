"""A person's word between the gate and the promotion."""

from datetime import timedelta
from typing import Any

# What Airflow's own approval is made of; it loads nothing heavy.
from airflow.providers.standard.operators.hitl import ApprovalOperator  # noqa: TID253

from snap2caption.registry.verdict import GateVerdict


class PromotionApproval(ApprovalOperator):
    """Asks in the Airflow UI whether an admitted model may be promoted, and shows the verdict. Rejecting skips the promotion.

    It asks only where *asked* is true and the gate has admitted the model; otherwise it lets the promotion decide by the verdict. While it waits it
    holds no worker. Nobody's answer within *patience* is a rejection: the model stays the challenger.
    """

    template_fields = ("asked", "verdict")

    def __init__(self, *, asked: Any, verdict: Any, patience: timedelta, **arguments: Any) -> None:
        super().__init__(subject="Promote this model?", defaults=self.REJECT, response_timeout=patience, **arguments)
        self.asked = asked
        self.verdict = verdict

    def execute(self, context: Any) -> None:
        """Ask, if there is something to ask."""
        verdict = GateVerdict.model_validate(self.verdict)
        if not self.asked or not verdict.admitted:
            return
        self.body = f"Run `{verdict.run_id}`, trained on dataset `{verdict.dataset_version}`.\n\n{verdict.report()}"
        super().execute(context)
