"""Demo run: the whole pipeline on this machine, from a corpus to a captioned photo."""

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import httpx

from demo.airflow import DONE, AirflowClient
from demo.captioned import Captioned, caption_over_rest, check_photo, sample_photo
from demo.display import Display, Stage
from demo.measure import Accuracy, measure, read_scenes
from demo.memory import PeakMemory
from demo.outcome import DemoOutcome
from demo.stack import Services, Stack
from demo.stack.ports import Ports
from demo.stack.service import Job, ProcessError, Running
from demo.stack.services.files import files
from snap2caption.errors import UserError

SERVICES, CORPUS, ETL, TRAINING, SERVING, CAPTION = "services", "corpus", "etl", "training", "serving", "caption"
_DAGS = ("etl", "training", "rollback")

_SEED = 0
_DAG_TIMEOUT = 3600.0
_SOON = 600.0
"""Time limit in seconds for steps that take a few seconds on an idle machine: until Airflow has read its files, or
until the service has loaded a model.
"""
_NEEDED_BYTES = 2 * 2**30

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class _Judged:
    """A run that the gate judged: the version that it was promoted to, or the reasons for the refusal."""

    run_id: str
    version: int | None
    refusals: list[str]


class Demo:
    """One run of the demo over one state folder."""

    def __init__(self, state: Path, pairs: int, photo: Path | None = None, *, annotators: bool = False) -> None:
        if photo is not None:
            check_photo(photo)
        self.state = state.resolve()
        self.pairs = pairs
        self.photo = photo
        self.annotators = annotators
        self.display = Display([SERVICES, CORPUS, ETL, TRAINING, SERVING, CAPTION])

    @contextmanager
    def run(self) -> Iterator[DemoOutcome]:
        """Run the pipeline and yield its outcome; the services live until the context ends.

        Raises:
            UserError: a stage failed, or the gate refused the model while there is none in service.
        """
        began = time.monotonic()
        with Stack(self.state) as stack, PeakMemory(stack) as memory:
            _check_space(self.state)
            with self.display:
                services, url = self._start(stack)
                with AirflowClient(services.airflow) as airflow:
                    judged = self._pipeline(airflow, url)
                version = self._wait_until_served(services, judged)
                captioned = self._caption(services)
                accuracy = self._measure(services, judged) if judged.version else None
            seconds = {stage.name: stage.seconds for stage in self.display.stages.values()}
            total = time.monotonic() - began
            yield DemoOutcome(services, version, judged.refusals, accuracy, captioned, seconds, total, memory.peak)

    @property
    def corpus(self) -> Path:
        """The sample corpus."""
        return self.state / "corpus" / f"corpus-{self.pairs}-{_SEED}.zip"

    def _start(self, stack: Stack) -> tuple[Services, str]:
        """Render the corpus and start the services in parallel; return the services, and the corpus's URL."""
        drawing = None if self.corpus.exists() else stack.run(self._corpus_job())
        background = ThreadPoolExecutor(1)
        drawn = background.submit(self._await_corpus, drawing)
        background.shutdown(wait=False)
        with self.display.stage(SERVICES) as stage:
            services, plans = stack.plan(annotators=self.annotators)
            publisher, address = files(self.corpus.parent, Ports(self.state / "ports.json"))
            plans.append(publisher)
            self.display.note(stage, " ".join(plan.name for plan in plans))
            stack.start(plans)
        drawn.result()
        stack.check(plans)
        return services, f"{address}/{self.corpus.name}"

    def _corpus_job(self) -> Job:
        # In its own supervised process, since it starts others, which must not outlive us.
        arguments = ("--out", str(self.corpus), "--pairs", str(self.pairs), "--seed", str(_SEED), "--traps")
        command = (sys.executable, "-m", "snap2caption", "sample-corpus", *arguments)
        return Job(name="corpus", command=command, environment=os.environ)

    def _await_corpus(self, drawing: Running | None) -> None:
        with self.display.stage(CORPUS) as stage:
            if drawing is None:
                self.display.note(stage, "drawn before")
                return
            self.display.note(stage, f"{self.pairs} pictures with captions")
            wait_for(lambda: drawing.status() is not None, _DAG_TIMEOUT, lambda: "The corpus is not drawn yet.")
            if drawing.status():
                raise ProcessError(f"The sample corpus could not be drawn; {drawing.tail()}")

    def _pipeline(self, airflow: AirflowClient, url: str) -> _Judged:
        for dag in _DAGS:
            wait_for(partial(airflow.knows, dag), _SOON, partial(_unknown, airflow, dag))
            airflow.end_unfinished_runs(dag)
            airflow.unpause(dag)
        with self.display.stage(ETL) as stage:
            before = set(airflow.runs("training"))
            run = airflow.trigger("etl", {"urls": [url]})
            self._watch(airflow, stage, "etl", run)
        with self.display.stage(TRAINING) as stage:
            run = wait_for(
                lambda: next((run for run in airflow.runs("training") if run not in before), None),
                60.0,
                lambda: "The dataset asset did not start the DAG training; see Airflow's log.",
            )
            self._watch(airflow, stage, "training", run)
            verdict = airflow.result("training", run, "gate")
            refusals = [rule["reason"] for rule in verdict["rules"] if not rule["passed"]]
            version = None if refusals else airflow.result("training", run, "promote")["version"]
        return _Judged(verdict["run_id"], version, refusals)

    def _watch(self, airflow: AirflowClient, stage: Stage, dag: str, run: str) -> None:
        for tasks in airflow.watch(dag, run, _DAG_TIMEOUT):
            done = sum(task.state in DONE for task in tasks)
            current = ", ".join(
                task.name + (f" (try {task.attempt})" if task.attempt > 1 else "")
                for task in tasks
                if task.state == "running"
            )
            self.display.note(stage, f"{done}/{len(tasks)} tasks" + (f", {current}" if current else ""))

    def _wait_until_served(self, services: Services, judged: _Judged) -> int:
        """Wait until the promoted version is in service; after a refusal, until any version is."""
        if judged.refusals and served_version(services) is None:
            raise UserError(f"The gate refused the model: {' '.join(judged.refusals)}")

        def in_service() -> int | None:
            found = served_version(services)
            return found if judged.version in {None, found} else None

        with self.display.stage(SERVING) as stage:
            log = self.state / "logs" / "serving.log"
            version = wait_for(in_service, _SOON, lambda: f"The service did not take the new model over; see {log}.")
            self.display.note(stage, f"version {version}")
        return version

    def _caption(self, services: Services) -> list[Captioned]:
        with self.display.stage(CAPTION):
            folder = self.state / "demo"
            photos = {folder / "captioned-photo.png": sample_photo(folder / "photo.jpg")}
            if self.photo:
                photos[folder / "captioned-your-photo.png"] = self.photo
            return [caption_over_rest(photo, services.serving, picture) for picture, photo in photos.items()]

    def _measure(self, services: Services, judged: _Judged) -> Accuracy:
        where = {"run_uuid": judged.run_id, "path": "evaluation/candidate.json"}
        answer = httpx.get(f"{services.mlflow}/get-artifact", params=where, timeout=120.0)
        answer.raise_for_status()
        captions = {row["id"]: row["hypothesis"] for row in answer.json()["rows"]}
        return measure(captions, read_scenes(self.corpus.with_name(f"{self.corpus.name}.scenes.jsonl")))


def _check_space(state: Path) -> None:
    free = shutil.disk_usage(state).free
    if free < _NEEDED_BYTES:
        raise UserError(
            f"Only {free / 1e9:.1f} GB are free for {state}, and the demo needs {_NEEDED_BYTES / 1e9:.1f} GB; "
            "free some, or choose another place with --state."
        )


def served_version(services: Services) -> int | None:
    """Return the number of the version in service, or None while there is none."""
    try:
        answer = httpx.get(f"{services.serving}/readyz", timeout=5.0)
    except httpx.TransportError:
        return None
    name = str(answer.json()["model_version"]) if answer.is_success else ""
    number = name.rpartition("/")[2]
    return int(number) if number.isdigit() else None


def _unknown(airflow: AirflowClient, dag: str) -> str:
    errors = airflow.import_errors()
    return (
        f"Airflow can't load the DAG {dag}: {errors[0].strip().splitlines()[-1]}"
        if errors
        else f"Airflow did not find the DAG {dag}."
    )


def wait_for(look: Callable[[], _Found | None], timeout: float, otherwise: Callable[[], str]) -> _Found:
    """Call *look* until it returns something, and return that.

    Raises:
        UserError: nothing came within *timeout* seconds. The message is that of *otherwise*.
    """
    deadline = time.monotonic() + timeout
    while not (found := look()):
        if time.monotonic() > deadline:
            raise UserError(otherwise())
        time.sleep(0.5)
    return found
