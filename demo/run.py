"""The demo: the whole pipeline on this machine, from a corpus to a captioned photo."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any, TypeVar

import httpx
import psutil

from demo.airflow import DONE, AirflowClient
from demo.display import Display, Stage
from demo.measure import KINDS, Accuracy, measure, read_scenes
from demo.stack.ports import Ports
from demo.stack.services.files import files
from demo.stack.stack import Services, Stack, alone, plan
from snap2caption.console import stderr
from snap2caption.errors import UserError

PAIRS = 2400
SEED = 0

_Found = TypeVar("_Found")

SERVICES, CORPUS, ETL, TRAINING, SERVING, CAPTION = "services", "corpus", "etl", "training", "serving", "caption"

_DAG_TIMEOUT = 3600.0
_SWAP_TIMEOUT = 120.0
# A scene that no corpus holds: corpora count their scenes from seed upwards, the demo's photo has a seed of its own.
_PHOTO_SEED = 7_000_000_007


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the demo ended with."""

    services: Services
    version: int
    accuracy: Accuracy | None
    answers: dict[Path, dict[str, Any]]
    pictures: dict[Path, Path]
    seconds: dict[str, float]
    peak_memory: int


class Demo:
    """One run of the demo over one state folder."""

    def __init__(self, state: Path, pairs: int = PAIRS, photo: Path | None = None) -> None:
        if photo is not None and not photo.is_file():
            raise UserError(f"There is no photo at {photo}; give the path of a JPEG, PNG or WebP file.")
        self.state = state.resolve()
        self.pairs = pairs
        self.photo = photo
        self.display = Display([SERVICES, CORPUS, ETL, TRAINING, SERVING, CAPTION])

    @contextmanager
    def run(self) -> Iterator[Outcome]:
        """Run the pipeline and yield its outcome; the services live until the context ends.

        Raises:
            UserError: a stage failed, or the gate refused the model while there is none in service.
        """
        with alone(self.state), Stack(self.state) as stack, _PeakMemory(stack) as memory:
            with self.display, ThreadPoolExecutor(1) as background:
                corpus = background.submit(self._make_corpus)
                services, address = self._start(stack)
                zip_file = self._finished(corpus, stack)
                airflow = AirflowClient(services.airflow)
                trained = self._pipeline(airflow, f"{address}/{zip_file.name}")
                self._wait_until_served(services, trained["version"])
                answers, pictures = self._caption(services)
                accuracy = self._measure(services, trained["run_id"], zip_file)
            seconds = {stage.name: stage.seconds for stage in self.display.stages.values()}
            yield Outcome(services, trained["version"], accuracy, answers, pictures, seconds, memory.peak)

    def _make_corpus(self) -> Path:
        from demo.corpus.archive import write_corpus

        out = self.state / "corpus" / f"corpus-{self.pairs}-{SEED}.zip"
        if out.exists():
            return out
        out.parent.mkdir(parents=True, exist_ok=True)
        with self.display.stage(CORPUS) as stage:
            done = 0

            def advance(drawn: int) -> None:
                nonlocal done
                done += drawn
                if done % 200 == 0 or done >= self.pairs:
                    self.display.note(stage, f"{done} of {self.pairs} pictures")

            return write_corpus(out, self.pairs, SEED, traps=True, progress=advance)

    def _start(self, stack: Stack) -> tuple[Services, str]:
        with self.display.stage(SERVICES) as stage:
            services, specs = plan(self.state)
            corpus_spec, address = files(self.state / "corpus", Ports(self.state / "ports.json"))
            stack.start([*specs, corpus_spec])
            self.display.note(stage, " ".join(spec.name for spec in specs))
        return services, address

    def _finished(self, corpus: Future[Path], stack: Stack) -> Path:
        path = corpus.result()
        stage = self.display.stages[CORPUS]
        if stage.state == "waiting":
            stage.state = "done"
            self.display.note(stage, "made before")
        stack.check()
        return path

    def _pipeline(self, airflow: AirflowClient, url: str) -> dict[str, Any]:
        for dag in ("etl", "training", "rollback"):
            _wait_for(partial(airflow.knows, dag), 120.0, partial(_unknown, airflow, dag))
            airflow.end_unfinished_runs(dag)
            airflow.unpause(dag)
        with self.display.stage(ETL) as stage:
            before = set(airflow.runs("training"))
            run = airflow.trigger("etl", {"urls": [url]})
            self._watch(airflow, stage, "etl", run)
        with self.display.stage(TRAINING) as stage:
            run = _wait_for(
                lambda: next((run for run in airflow.runs("training") if run not in before), None),
                60.0,
                lambda: "The dataset asset did not start the DAG training; see Airflow's log.",
            )
            self._watch(airflow, stage, "training", run)
            verdict = airflow.result("training", run, "gate")
            if not all(rule["passed"] for rule in verdict["rules"]):
                reasons = " ".join(rule["reason"] for rule in verdict["rules"] if not rule["passed"])
                raise UserError(f"The gate refused the new model: {reasons}")
            promoted: dict[str, Any] = airflow.result("training", run, "promote")
        return promoted

    def _watch(self, airflow: AirflowClient, stage: Stage, dag: str, run: str) -> None:
        for tasks in airflow.watch(dag, run, _DAG_TIMEOUT):
            done = sum(task.state in DONE for task in tasks)
            current = ", ".join(
                task.name + (f" (try {task.attempt})" if task.attempt > 1 else "")
                for task in tasks
                if task.state == "running"
            )
            self.display.note(stage, f"{done}/{len(tasks)} tasks" + (f", {current}" if current else ""))

    def _wait_until_served(self, services: Services, version: int) -> None:
        with self.display.stage(SERVING) as stage:
            _wait_for(
                lambda: _served_version(services) == version,
                _SWAP_TIMEOUT,
                lambda: f"The service did not take over version {version}; see {self.state / 'logs' / 'serving.log'}.",
            )
            self.display.note(stage, f"version {version}")

    def _caption(self, services: Services) -> tuple[dict[Path, dict[str, Any]], dict[Path, Path]]:
        with self.display.stage(CAPTION):
            photos = [self._sample_photo(), *([self.photo] if self.photo else [])]
            answers, pictures = {}, {}
            for photo in photos:
                picture = self.state / "demo" / f"captioned-{photo.stem}.png"
                answers[photo] = _caption_over_rest(photo, services, picture)
                pictures[photo] = picture
        return answers, pictures

    def _sample_photo(self) -> Path:
        from demo.scenes.render import render
        from demo.scenes.scene import City, Mood, Scene, Subject, Time, Weather

        path = self.state / "demo" / "photo.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        scene = Scene(City.SANFRANCISCO, Subject.GOLDEN_GATE, Time.SUNSET, Weather.CLEAR, Mood.ROMANTIC)
        render(scene, _PHOTO_SEED).save(path, quality=92)
        return path

    def _measure(self, services: Services, run_id: str, corpus: Path) -> Accuracy | None:
        where = {"run_uuid": run_id, "path": "evaluation/candidate.json"}
        answer = httpx.get(f"{services.mlflow}/get-artifact", params=where, timeout=30.0)
        answer.raise_for_status()
        captions = {row["id"]: row["hypothesis"] for row in answer.json()["rows"]}
        return measure(captions, read_scenes(corpus.with_name(f"{corpus.name}.scenes.jsonl")))


class _PeakMemory:
    """Samples the memory of the demo with its services while the context lasts."""

    def __init__(self, stack: Stack) -> None:
        self.peak = 0
        self._stack = stack
        self._stop = Event()
        self._thread = Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "_PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(2.0):
            self.peak = max(self.peak, self._stack.memory() + psutil.Process().memory_info().rss)


def show(outcome: Outcome) -> None:
    """Print what came out, and where everything is."""
    line = stderr.print
    for photo, answer in outcome.answers.items():
        line(f"\n{photo.name}", style="bold", highlight=False)
        line(answer["caption"], highlight=False, markup=False)
        line(" ".join(answer["hashtags"]), highlight=False, markup=False, style="cyan")
        line(f"photo and caption side by side: {outcome.pictures[photo]}", highlight=False)
    if outcome.accuracy:
        line(
            f"\nOf {outcome.accuracy.captions} captions of held-out photos (with the captions dealt to other photos):",
            highlight=False,
        )
        for kind in KINDS:
            right, shuffled = outcome.accuracy.right[kind], outcome.accuracy.shuffled[kind]
            line(f"  {right:4.0%} name the right {kind} ({shuffled:.0%})", highlight=False)
    spent = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in outcome.seconds.items() if seconds)
    line(f"\nTime: {spent}. Peak memory: {outcome.peak_memory / 2**30:.1f} GiB.", highlight=False)
    services = outcome.services
    line(
        f"\nAirflow   {services.airflow.url}  ({services.airflow.user} / {services.airflow.password})", highlight=False
    )
    line(f"MLflow    {services.mlflow}", highlight=False)
    line(f"S3        {services.s3}", highlight=False)
    line(f"Captions  {services.serving}/docs  (model version {outcome.version})", highlight=False)


def _caption_over_rest(photo: Path, services: Services, picture: Path) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "snap2caption",
        "caption",
        str(photo),
        "--url",
        services.serving,
        "--picture",
        str(picture),
        "--json",
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if result.returncode:
        raise UserError(result.stderr.strip().removeprefix("error: ") or f"{photo} could not be captioned.")
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def _served_version(services: Services) -> int | None:
    try:
        answer = httpx.get(f"{services.serving}/readyz", timeout=5.0)
    except httpx.TransportError:
        return None
    name = str(answer.json().get("model_version", "")) if answer.is_success else ""
    number = name.rpartition("/")[2]
    return int(number) if number.isdigit() else None


def _unknown(airflow: AirflowClient, dag: str) -> str:
    errors = airflow.import_errors()
    return (
        f"Airflow can't load the DAG {dag}: {errors[0].strip().splitlines()[-1]}"
        if errors
        else f"Airflow did not find the DAG {dag}."
    )


def _wait_for(look: Callable[[], _Found | None], timeout: float, otherwise: Callable[[], str]) -> _Found:
    """Look again and again until there is something, and return it; after *timeout* seconds, raise what *otherwise* says."""
    deadline = time.monotonic() + timeout
    while not (found := look()):
        if time.monotonic() > deadline:
            raise UserError(otherwise())
        time.sleep(0.5)
    return found
