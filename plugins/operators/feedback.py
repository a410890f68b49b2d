"""The feedback loop: collect, sample, push, pull, validate, build, retrain."""

from typing import Any

# It loads nothing heavy.
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator  # noqa: TID253
from airflow.sdk.exceptions import AirflowSkipException

from plugins.assets import DATASET, newest_dataset_uri
from plugins.links import DataCardLink, DatasetLink
from plugins.operators.command import CommandOperator


class StepOperator(CommandOperator):
    """Runs one step, a command, and returns what it says. A step knows from the store what there is to do."""

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
    """Judges the annotations; skips what follows unless *at_least* corrections are new since the last retraining, or *erased* of its own are gone.

    *erased* 0: what was erased starts no retraining.
    """

    template_fields = ("at_least", "erased")

    def __init__(self, *, at_least: Any, erased: Any, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.at_least = at_least
        self.erased = erased

    def execute(self, context: Any) -> dict[str, Any]:  # noqa: ARG002
        """Count, and say why annotations were refused."""
        found: dict[str, Any] = self.run("feedback validate")
        enough = found["new"] >= max(1, int(self.at_least))
        too_many = 0 < int(self.erased) <= found["erased"] and found["usable"] > 0
        if not enough and not too_many:
            raise AirflowSkipException(
                f"{found['new']} corrections are new, {found['erased']} of the last retraining were erased; {self.at_least} or {self.erased} "
                "are asked for a retraining."
            )
        return found


class BuildOperator(CommandOperator):
    """Makes a dataset version of the corrections, to be mixed with a corpus version; returns what was built."""

    template_fields = ("dataset_uri", "seed")
    operator_extra_links = (DatasetLink(), DataCardLink())

    def __init__(self, *, dataset_uri: Any, seed: Any, **arguments: Any) -> None:
        super().__init__(inlets=[DATASET], **arguments)
        self.dataset_uri = dataset_uri
        self.seed = seed

    def execute(self, context: Any) -> dict[str, Any]:
        """Build for the corpus version of the trigger form, or the newest."""
        corpus = newest_dataset_uri(self.dataset_uri, context)
        built: dict[str, Any] = self.run("feedback build", corpus, seed=self.seed)
        return built


class RetrainOperator(TriggerDagRunOperator):
    """Starts the DAG `training` with a version of feedback, once: the run is named by the version. It does not wait for it."""

    template_fields = ("built", "config", "overrides", "approval")

    def __init__(self, *, built: Any, config: Any, overrides: Any, approval: Any, **arguments: Any) -> None:
        super().__init__(trigger_dag_id="training", skip_when_already_exists=True, **arguments)
        self.built = built
        self.config = config
        self.overrides = overrides
        self.approval = approval

    def execute(self, context: Any) -> None:
        """Start it, or find that an earlier try did."""
        self.trigger_run_id = f"feedback-{self.built['version']}"
        self.conf = {
            "config": self.config,
            "overrides": [f"data.feedback.uri={self.built['uri']}", *self.overrides],
            "dataset_uri": self.built["corpus_uri"],
            "approval": self.approval,
        }
        super().execute(context)
