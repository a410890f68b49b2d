"""Human approval between the gate and the promotion."""

from datetime import timedelta
from typing import Any

# Airflow's own approval operator. It loads nothing heavy.
from airflow.providers.standard.operators.hitl import ApprovalOperator  # noqa: TID253

from snap2caption.registry.verdict import GateVerdict


class PromotionApproval(ApprovalOperator):
    """Asks in the Airflow UI whether an admitted model may be promoted, and shows the verdict.

    It asks only if *asked* is true and the gate admitted the model. Otherwise the promotion follows the verdict. It
    occupies no worker while it waits. A rejection skips the promotion, and so does no answer within *patience*: the
    model stays the challenger.
    """

    template_fields = ("asked", "verdict")

    def __init__(self, *, asked: Any, verdict: Any, patience: timedelta, **arguments: Any) -> None:
        super().__init__(subject="Promote this model?", defaults=self.REJECT, response_timeout=patience, **arguments)
        self.asked = asked
        self.verdict = verdict

    def execute(self, context: Any) -> None:
        """Ask, if approval is needed."""
        verdict = GateVerdict.model_validate(self.verdict)
        if not self.asked or not verdict.admitted:
            return
        self.body = f"Run `{verdict.run_id}`, trained on dataset `{verdict.dataset_version}`.\n\n{verdict.report()}"
        super().execute(context)
