"""Operators of the feedback DAG: collect, sample, push, pull, validate, build, retrain."""

from typing import Any

# It loads nothing heavy.
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator  # noqa: TID253
from airflow.sdk.exceptions import AirflowSkipException

from plugins.assets import DATASET, newest_dataset_uri
from plugins.links import DataCardLink, DatasetLink
from plugins.operators.command import CommandOperator


class StepOperator(CommandOperator):
    """Runs one step of the loop, a command, and returns its result. A step reads from the store what is left to do."""

    template_fields = ("operands", "options")

    def __init__(self, *, step: str, operands: Any = (), options: Any = None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.step = step
        self.operands = operands
        self.options = options or {}

    def execute(self, context: Any) -> Any:  # noqa: ARG002
        """Do what is left to do."""
        return self.run(self.step, *self.operands, **self.options)


class ValidateOperator(CommandOperator):
    """Validates the annotations, and skips the later tasks unless there is enough reason to retrain.

    A reason is that at least *at_least* corrections are new since the last retraining, or that at least *erased* of
    those it learned from were erased. With *erased* 0, erasures start no retraining.
    """

    template_fields = ("at_least", "erased")

    def __init__(self, *, at_least: Any, erased: Any, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.at_least = at_least
        self.erased = erased

    def execute(self, context: Any) -> dict[str, Any]:  # noqa: ARG002
        """Count usable corrections, and report why annotations were rejected."""
        found: dict[str, Any] = self.run("feedback validate")
        enough = found["new"] >= max(1, int(self.at_least))
        too_many = 0 < int(self.erased) <= found["erased"] and found["usable"] > 0
        if not enough and not too_many:
            raise AirflowSkipException(
                f"{found['new']} corrections are new, and {found['erased']} of the last retraining were erased; "
                f"a retraining needs {self.at_least} new or {self.erased} erased."
            )
        return found


class BuildOperator(CommandOperator):
    """Builds a dataset version from the corrections, to be mixed with a corpus version; returns what was built."""

    template_fields = ("dataset_uri", "seed")
    operator_extra_links = (DatasetLink(), DataCardLink())

    def __init__(self, *, dataset_uri: Any, seed: Any, **arguments: Any) -> None:
        super().__init__(inlets=[DATASET], **arguments)
        self.dataset_uri = dataset_uri
        self.seed = seed

    def execute(self, context: Any) -> dict[str, Any]:
        """Build for the corpus version in the trigger form, or for the newest."""
        corpus = newest_dataset_uri(self.dataset_uri, context)
        built: dict[str, Any] = self.run("feedback build", corpus, seed=self.seed)
        return built


class RetrainOperator(TriggerDagRunOperator):
    """Starts the DAG `training` with a feedback version, once: the run is named after the version. It does not wait."""

    template_fields = ("built", "config", "overrides", "approval")

    def __init__(self, *, built: Any, config: Any, overrides: Any, approval: Any, **arguments: Any) -> None:
        super().__init__(trigger_dag_id="training", skip_when_already_exists=True, **arguments)
        self.built = built
        self.config = config
        self.overrides = overrides
        self.approval = approval

    def execute(self, context: Any) -> None:
        """Start the run, or find that an earlier try did."""
        self.trigger_run_id = f"feedback-{self.built['version']}"
        self.conf = {
            "config": self.config,
            "overrides": [f"data.feedback.uri={self.built['uri']}", *self.overrides],
            "dataset_uri": self.built["corpus_uri"],
            "approval": self.approval,
        }
        super().execute(context)
