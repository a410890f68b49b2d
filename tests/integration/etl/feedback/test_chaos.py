"""Every step of the loop killed by SIGKILL at a random moment, and run again: nothing lost, nothing counted twice.

`make chaos-feedback` does it 32 times, spread over the steps; within `make test` the longest step is killed once.
"""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from contents import DATED
from feedbacks import Box

from demo.corpus.archive import write_corpus
from etl.feedback.build import build
from etl.feedback.collect import collect
from etl.feedback.kinds import Shares
from etl.feedback.ledger import (
    BATCHES,
    NEWEST,
    RETRAININGS,
    SAMPLES,
    FeedbackBatch,
    FeedbackVersion,
    ReviewSample,
    StartedRetraining,
    entries,
    entry,
)
from etl.feedback.retraining import note_retraining
from etl.feedback.sample import sample
from etl.transform import transform
from snap2caption.store import ObjectStore, open_store

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(0),
]  # `make chaos-feedback` runs for as long as its rounds take

ROUNDS = int(os.environ.get("CHAOS_FEEDBACK_ROUNDS", "1"))
NUMBERS = range(10)
ALL = Shares(random=1.0)


@dataclass(frozen=True)
class Place:
    """An installation: its own feedback, datasets and state."""

    folder: Path
    corpus: Path

    @property
    def store(self) -> ObjectStore:
        return open_store((self.folder / "feedback").as_uri())

    def call(self, step: str) -> None:
        """Do a step here, as its command does."""
        if step == "collect":
            collect(self.store)
        elif step == "sample":
            sample(self.store, ALL, 0)
        elif step == "build":
            datasets = (self.folder / "datasets").as_uri()
            build(self.store.uri, datasets, str(self.corpus), self.folder / "state", seed=0, workers=1)
        else:
            note_retraining(self.store, entry(self.store, NEWEST, FeedbackVersion).uri)

    def run(self, step: str, *, kill_after: float | None = None) -> str | None:
        """Run a step's command to its end and return what it printed; or kill it, with all that it started, and
        return None.
        """
        environment = {
            **os.environ,
            "SNAP2CAPTION_FEEDBACK_URI": (self.folder / "feedback").as_uri(),
            "SNAP2CAPTION_DATASETS_URI": (self.folder / "datasets").as_uri(),
            "SNAP2CAPTION_STATE_DIR": str(self.folder / "state"),
        }
        command = [sys.executable, "-m", "snap2caption", "feedback", step, *self.options(step), "--json"]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
        ) as process:
            try:
                output, errors = process.communicate(timeout=kill_after)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                return None
        assert process.returncode == 0, errors
        return output

    def options(self, step: str) -> list[str]:
        if step == "build":
            return [str(self.corpus), "--workers", "1"]
        if step == "retrained":
            return [entry(self.store, NEWEST, FeedbackVersion).uri]
        return ["--random", "1"] if step == "sample" else []

    def result(self) -> dict[str, object]:
        """Return all that the loop made, but for what depends on the place and the time."""
        feedback, datasets = self.store, open_store((self.folder / "datasets").as_uri())
        counted = Counter(record for _, batch in entries(feedback, BATCHES, FeedbackBatch) for record in batch.records)
        chosen = Counter(one.record for _, sample in entries(feedback, SAMPLES, ReviewSample) for one in sample.chosen)
        files = {found.key: digest_of(datasets, found.key) for found in datasets.list()}
        return {
            "collected": counted,
            "chosen": chosen,
            "newest": entry(feedback, NEWEST, FeedbackVersion).version,
            "retrainings": [one.version for _, one in entries(feedback, RETRAININGS, StartedRetraining)],
            "files": {key: digest for key, digest in files.items() if not key.endswith(DATED)},
        }


def digest_of(store, key: str) -> str:
    with store.get(key) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


STEPS = ("collect", "sample", "build", "retrained")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    return transform(write_corpus(folder / "corpus.zip", 40, 0), folder / "out", workers=1)


def test_each_step_can_be_killed_at_any_moment(corpus: Path, tmp_path: Path) -> None:
    first = Box(tmp_path / "whole" / "feedback")
    for number in NUMBERS:
        first.send(number, edited={"caption": "Mine."} if number % 2 else None)
        first.annotate(number)
    shutil.copytree(tmp_path / "whole", tmp_path / "start")
    whole = Place(tmp_path / "whole", corpus)
    targets = [STEPS[(number + 2) % len(STEPS)] for number in range(ROUNDS)]
    seconds = {}
    for step in STEPS:
        began = time.monotonic()
        (whole.run if step in targets else whole.call)(step)
        seconds[step] = time.monotonic() - began
    expected = whole.result()
    assert len(expected["collected"]) == len(expected["chosen"]) == len(NUMBERS)
    assert {*expected["collected"].values(), *expected["chosen"].values()} == {1}

    def play(place: Place, target: str, moment: float) -> bool:
        """Do all steps, the target killed after so many seconds, and see that all is as if nothing had been; return
        whether it was still alive.
        """
        shutil.copytree(tmp_path / "start", place.folder)
        killed = False
        for step in STEPS:
            if step == target:
                killed = place.run(step, kill_after=moment) is None
            place.call(step)
        # And once more, as a retried task does.
        place.call(target)
        assert place.result() == expected, f"{target} killed after {moment:.2f} s"
        shutil.rmtree(place.folder)
        return killed

    rng = random.Random(0)
    for round_, target in enumerate(targets):
        # From when Python has loaded its modules, about; earlier, if a machine that has become faster is done by then.
        moment = rng.uniform(0.3, 1.0) * seconds[target]
        while not play(Place(tmp_path / f"round-{round_}", corpus), target, moment):
            moment *= 0.7
        print(f"{round_ + 1}/{ROUNDS} {target}: killed after {moment:.2f} of {seconds[target]:.2f} s")
