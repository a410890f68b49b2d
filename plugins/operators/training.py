"""Operators of the training and rollback DAGs: train, gate, promote, roll back."""

import re
from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from plugins.assets import dataset_uri
from plugins.links import MlflowRunLink, ModelVersionLink, ReportLink, ServiceLink
from plugins.operators.command import CommandOperator
from plugins.operators.named_files import find_named
from snap2caption.formats.strict_json import to_document
from snap2caption.registry.verdict import GateVerdict
from snap2caption.settings import Settings


class TrainOperator(CommandOperator):
    """Fine-tunes and evaluates a model; returns the MLflow run's id."""

    template_fields = ("config", "overrides", "dataset_uri")
    operator_extra_links = (MlflowRunLink(), ReportLink())

    def __init__(self, *, config: Any, overrides: Any, dataset_uri: Any, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.config = config
        self.overrides = overrides
        self.dataset_uri = dataset_uri

    def execute(self, context: Any) -> str:
        """Train on the dataset in the trigger form, or on that of the event that started the run."""
        recipe = find_named(Settings().configs_dir, self.config, "recipe")
        uri = dataset_uri(self.dataset_uri, context)
        found = self.run("train", f"data.uri={uri}", *self.overrides, config=recipe)
        return str(found["run_id"])


_JUDGING = ("gate", "evaluation")
"""Sections of a recipe that define how a model is judged."""


class GateOperator(CommandOperator):
    """Runs the gate on a run's model; returns the verdict. A refusal is an answer, not a failure."""

    template_fields = ("run_id", "overrides")
    operator_extra_links = (MlflowRunLink(), ReportLink())
    answers = (0, 1)

    def __init__(self, *, run_id: Any, overrides: Any = (), **arguments: Any) -> None:
        super().__init__(**arguments)
        self.run_id = run_id
        self.overrides = overrides

    def execute(self, context: Any) -> dict[str, Any]:  # noqa: ARG002
        """Apply the gate's rules, with those overrides that are about judging, and log the verdict rule by rule."""
        rules = [override for override in self.overrides if re.split("[.=]", override)[0] in _JUDGING]
        verdict = GateVerdict.model_validate(self.run("gate", self.run_id, *rules))
        for line in (*verdict.table().splitlines(), *verdict.notes):
            self.log.info("%s", line)
        for rule in verdict.rules:
            self.log.info("%s %s: %s", "passed " if rule.passed else "REFUSED", rule.name, rule.reason)
        self.log.info("%s (compared with %s)", "admitted" if verdict.admitted else "refused", verdict.incumbent)
        return to_document(verdict)


class PromoteOperator(CommandOperator):
    """Makes an admitted run's model the champion. For a refused one, the task is skipped with the gate's reasons."""

    template_fields = ("verdict",)
    operator_extra_links = (ModelVersionLink(), ServiceLink())

    def __init__(self, *, verdict: Any, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.verdict = verdict

    def execute(self, context: Any) -> dict[str, Any]:  # noqa: ARG002
        """Promote the model if the gate admitted it."""
        verdict = GateVerdict.model_validate(self.verdict)
        if not verdict.admitted:
            raise AirflowSkipException(f"The gate refused the candidate: {' '.join(verdict.refusals)}")
        promoted: dict[str, Any] = self.run("promote", verdict.run_id)
        return promoted


class RollbackOperator(CommandOperator):
    """Makes the previous champion the champion again, once per run of the DAG: a second time would undo the first."""

    operator_extra_links = (ModelVersionLink(), ServiceLink())

    def execute(self, context: Any) -> dict[str, Any]:
        """Roll back, or find that an earlier try did so."""
        run = context["dag_run"]
        restored: dict[str, Any] = self.run("rollback", request=f"{run.dag_id}/{run.run_id}")
        return restored
