"""Feedback demo: from a creator's correction to a model that learned it, on top of a running demo."""

import os
from functools import partial
from pathlib import Path
from typing import Any

from demo.airflow import AirflowClient
from demo.display import Display, Stage
from demo.loop.annotator import annotate
from demo.loop.creator import caption, correct
from demo.loop.habit import take
from demo.loop.outcome import ComparedPhoto, LoopOutcome
from demo.run import served_version, wait_for
from demo.stack import Services
from snap2caption.errors import UserError
from snap2caption.store import open_store

CREATOR, TASKS, ANNOTATOR, RETRAINING, SERVING = "creator", "tasks", "annotator", "retraining", "serving"

CORRECTIONS = 64
"""Number of corrections: somewhat more than the DAG requires by default for a retraining."""
COMPARED = 24
"""Photos that are captioned before and after."""

_DAG = "feedback"
_TIMEOUT = 3600.0


class FeedbackLoop:
    """One pass through the feedback loop, on the services of a demo."""

    def __init__(self, services: Services, folder: Path) -> None:
        self.services = services
        self.folder = folder
        self.display = Display([CREATOR, TASKS, ANNOTATOR, RETRAINING, SERVING])

    def run(self) -> LoopOutcome:
        """Correct, annotate, retrain, and compare.

        Raises:
            UserError: a task failed, or the gate refused the model.
        """
        photos = [take(10_000 + number).photo for number in range(COMPARED)]
        with self.display, AirflowClient(self.services.airflow) as airflow:
            wait_for(partial(airflow.knows, _DAG), 600.0, lambda: f"Airflow did not find the DAG {_DAG}.")
            airflow.end_unfinished_runs(_DAG)
            airflow.unpause(_DAG)
            with self.display.stage(CREATOR) as stage:
                before = [caption(self.services.serving, photo) for photo in photos]
                self._correct(stage)
            project = self._ask(airflow)
            known = set(airflow.runs("training"))
            with self.display.stage(ANNOTATOR) as stage:
                done = annotate(self._annotators(), project)
                self.display.note(stage, f"{done} tasks done")
            verdict, promoted, conf = self._retrain(airflow, known)
            with self.display.stage(SERVING):
                wait_for(
                    lambda: served_version(self.services) == promoted or None,
                    _TIMEOUT,
                    lambda: "The service did not take the new model over; see its log.",
                )
                after = [caption(self.services.serving, photo) for photo in photos]
        uri = next(one for one in conf["overrides"] if one.startswith("data.feedback.uri=")).partition("=")[2]
        outcome = LoopOutcome(
            [ComparedPhoto(*each) for each in zip(photos, before, after, strict=True)],
            verdict,
            CORRECTIONS,
            uri,
            promoted,
            self.folder / "feedback.html",
        )
        outcome.write_page()
        return outcome

    def _correct(self, stage: Stage) -> None:
        os.environ.update(self.services.environment)
        store = open_store(self.services.environment["SNAP2CAPTION_FEEDBACK_URI"])

        def stored() -> int:
            return sum(1 for _ in store.list("records/"))

        before = stored()
        correct(self.services.serving, range(CORRECTIONS))
        wait_for(
            lambda: stored() >= before + CORRECTIONS or None,
            120.0,
            lambda: "The service did not bring all feedback into the store; see its log.",
        )
        self.display.note(stage, f"{CORRECTIONS} corrections sent")

    def _ask(self, airflow: AirflowClient) -> int:
        """Trigger the DAG, which creates the tasks; return the id of their project."""
        with self.display.stage(TASKS) as stage:
            run = airflow.trigger(_DAG, {})
            for tasks in airflow.watch(_DAG, run, _TIMEOUT):
                self.display.note(stage, ", ".join(task.name for task in tasks if task.state == "running"))
            pushed = airflow.result(_DAG, run, "push")
            self.display.note(stage, f"{pushed['created']} tasks in {pushed['project']}")
        return int(pushed["project"].rpartition("/")[2])

    def _annotators(self) -> Any:
        if self.services.label_studio is None:
            raise UserError("The demo runs without Label Studio; start it with annotators.")
        return self.services.label_studio

    def _retrain(self, airflow: AirflowClient, known: set[str]) -> tuple[dict[str, Any], int, dict[str, Any]]:
        """Wait for the training that the webhook starts; return the gate's verdict, the promoted version, and the
        training's parameters.
        """
        with self.display.stage(RETRAINING) as stage:
            run = wait_for(
                lambda: next((run for run in airflow.runs("training") if run not in known), None),
                _TIMEOUT,
                lambda: "Label Studio's webhook led to no retraining; see the DAG feedback in Airflow.",
            )
            for tasks in airflow.watch("training", run, _TIMEOUT):
                self.display.note(stage, ", ".join(task.name for task in tasks if task.state == "running"))
            verdict: dict[str, Any] = airflow.result("training", run, "gate")
            refusals = [rule["reason"] for rule in verdict["rules"] if not rule["passed"]]
            if refusals:
                raise UserError(f"The gate refused the model: {' '.join(refusals)}")
            promoted = int(airflow.result("training", run, "promote")["version"])
        return verdict, promoted, airflow.conf("training", run)
