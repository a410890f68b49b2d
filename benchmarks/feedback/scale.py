"""Scale of the feedback loop: each command on a real S3 server and a real Label Studio, at two sizes.

Usage: ``python -m benchmarks.feedback.scale RECORDS TASKS``, after a tenth of both.
"""

import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from PIL import Image

from demo.corpus.archive import write_corpus
from demo.stack.ports import HOST, Ports
from demo.stack.services.label_studio import label_studio
from demo.stack.services.seaweedfs import seaweedfs
from demo.stack.stack import Stack
from etl.feedback.label_studio.project import open_project
from etl.feedback.label_studio.settings import LabelStudioSettings
from etl.transform import transform
from snap2caption.feedback import (
    Annotation,
    Erasure,
    Feedback,
    Words,
    annotation_key,
    erasure_key,
    photo_key,
    record_key,
)
from snap2caption.store import ObjectStore, open_store

NEW = 100
"""Records that come in later, and tasks that are annotated later: equally many at both sizes."""

_START = datetime(2026, 1, 1, tzinfo=UTC)
_WRITERS = 16


@dataclass
class Measurement:
    """What a command took."""

    seconds: float
    mebibytes: float
    requests: dict[str, int]

    def __str__(self) -> str:
        """Return a cell of the table."""
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(self.requests.items())) or "none"
        return f"{self.seconds:.1f} s, {self.mebibytes:.0f} MiB; {counts}"


@dataclass
class Place:
    """A feedback store of one size, and what its commands took: by command, with all of it new, nothing, and some."""

    records: int
    tasks: int
    environment: dict[str, str]
    folder: Path
    store: ObjectStore
    rows: dict[str, dict[str, Measurement]] = field(default_factory=dict)

    def run(self, column: str, *arguments: str) -> None:
        """Run a command of `snap2caption`, and keep what it took under *column*."""
        out, what = self.folder / "measured.json", f"{arguments[0]} {arguments[1]}".removesuffix(" --json")
        command = (sys.executable, "-m", "benchmarks.feedback.step", str(out), *arguments)
        done = subprocess.run(command, env=os.environ | self.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{what} failed:\n{done.stderr}")
        measured = Measurement(**json.loads(out.read_text()))
        self.rows.setdefault(what, {})[column] = measured
        print(f"{self.records}: {what}, {column}: {measured} ({done.stdout.strip()[:80]})", file=sys.stderr, flush=True)

    def each(self, work: Callable[[int], None], numbers: range) -> None:
        """Do *work* for each number, several at a time."""
        with ThreadPoolExecutor(_WRITERS) as pool:
            for _ in pool.map(work, numbers):
                pass

    def put(self, key: str, data: bytes) -> None:
        """Put an object."""
        self.store.put(key, data, sha256=hashlib.sha256(data).hexdigest())

    def send(self, number: int) -> None:
        """Put a record as the service does. Each tenth asks for a person to look, and has a photo of its own."""
        flagged = number % (self.records // self.tasks) == 0
        photo = _photo(number if flagged else 0)
        feedback = self.feedback(number, photo, flagged=flagged)
        if flagged:
            self.put(photo_key(feedback.photo), photo)
        self.put(record_key(feedback), feedback.model_dump_json().encode())

    def feedback(self, number: int, photo: bytes, *, flagged: bool) -> Feedback:
        """Return the feedback of a number."""
        return Feedback(
            id=_id(number),
            creator=hashlib.sha256(str(number % 997).encode()).hexdigest(),
            received=_START + timedelta(minutes=number),
            photo=hashlib.sha256(photo).hexdigest(),
            shown=Words(
                caption=f"Caption {number} as it was shown, with some more words.", hashtags=("city", "travel")
            ),
            rating=1 + number % 5,
            model_version=f"models:/snap2caption/{1 + number % 3}",
            flagged=flagged,
            request_id=_id(number),
        )

    def annotate(self, number: int) -> None:
        """Put an annotation of the task of a number, as a pull does."""
        words = Words(caption=f"Corrected caption number {number}, by an annotator.", hashtags=("chicago", "art"))
        annotation = Annotation(id=number + 1, feedback=_id(number), annotator="1", completed=_START, words=words)
        self.put(annotation_key(annotation.feedback, annotation.id), annotation.model_dump_json().encode())

    def erase(self, number: int) -> None:
        """Erase a feedback as the service does."""
        feedback = self.feedback(number, b"", flagged=False)
        erasure = Erasure(id=feedback.id, erased=_START, owner="0" * 64)
        self.put(erasure_key(feedback.id), erasure.model_dump_json().encode())
        self.store.delete(record_key(feedback))

    @property
    def tasked(self) -> range:
        """The numbers of the feedback that annotators see."""
        return range(0, self.records, self.records // self.tasks)


def measure(place: Place, corpus: str) -> None:
    """Fill the store, and run each command: with all of it new, with nothing new, and with `NEW` more."""
    project = LabelStudioSettings.model_validate(
        {
            name.removeprefix("SNAP2CAPTION_LABEL_STUDIO_").lower(): value
            for name, value in place.environment.items()
            if name.startswith("SNAP2CAPTION_LABEL_STUDIO_")
        }
    )
    report = ("feedback", "report", "--out", str(place.folder / "report.html"))
    none_but_flagged = ("--low-rated", "0", "--edited", "0", "--low-confidence", "0", "--random", "0")
    sample = ("feedback", "sample", *none_but_flagged)
    place.each(place.send, range(place.records))
    for column in ("all new", "nothing new"):
        place.run(column, "feedback", "collect")
        place.run(column, *sample)
        place.run(column, "feedback", "push")
        place.run(column, "label-studio-pull", "--json")
    with open_project(project) as opened:
        tasks = opened.client.tasks.list(project=opened.id, fields="task_only", page_size=NEW, page=1)
        result = [
            {"from_name": "caption", "to_name": "photo", "type": "textarea", "value": {"text": ["Corrected by hand."]}}
        ]
        annotated = set()
        for task, _ in zip(tasks, range(NEW), strict=False):
            opened.client.annotations.create(id=task.id, result=result)
            annotated.add(task.meta["feedback"])
    place.run(f"{NEW} new", "label-studio-pull", "--json")
    rest = [number for number in place.tasked if _id(number) not in annotated]
    place.each(lambda index: place.annotate(rest[index]), range(len(rest)))
    for column in ("all new", "nothing new"):
        place.run(column, "feedback", "validate")
        place.run(column, *report)
    place.run("all new", "feedback", "build", corpus)
    # The last hundredth of the tasks.
    gone = [*place.tasked][-place.tasks // 100 :]
    place.each(lambda index: place.erase(gone[index]), range(len(gone)))
    for column in ("all new", "nothing new"):
        place.run(column, "feedback", "withdraw")
    step = place.records // place.tasks
    more = range(place.records, place.records + NEW * step, step)
    for number in more:
        place.send(number)
    place.run(f"{NEW} new", "feedback", "collect")
    place.run(f"{NEW} new", *sample)
    place.run(f"{NEW} new", "feedback", "push")
    for number in more:
        place.annotate(number)
    place.run(f"{NEW} new", "feedback", "validate")
    place.run(f"{NEW} new", *report)
    for number in more:
        place.erase(number)
    place.run(f"{NEW} new", "feedback", "withdraw")


def markdown(small: Place, large: Place) -> str:
    """Return a table of both sizes, and how much more the larger one takes."""
    lines = ["| command | new | " + " | ".join(f"{one.records:,} records" for one in (small, large)) + " | time |"]
    lines.append("|---|---|---|---|---|")
    for what, columns in large.rows.items():
        for column, measured in columns.items():
            before = small.rows[what][column]
            growth = measured.seconds / before.seconds
            lines.append(f"| `{what}` | {column} | {before} | {measured} | × {growth:.1f} |")
    return "\n".join(lines)


@contextmanager
def servers(folder: Path) -> Iterator[dict[str, str]]:
    """Run the servers, and yield the environment of commands."""
    ports = Ports(folder / "ports.json")
    store, environment, _ = seaweedfs(folder, ports)
    studio, access = label_studio(folder, ports, environment)
    with Stack(folder) as stack:
        stack.start([store, studio])
        yield {
            **environment,
            "SNAP2CAPTION_LABEL_STUDIO_URL": access.url,
            "SNAP2CAPTION_LABEL_STUDIO_TOKEN": access.token,
            # No registry: it is no part of what is measured.
            "SNAP2CAPTION_MLFLOW_TRACKING_URI": f"http://{HOST}:9",
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        }


def _id(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()[:32]


def _photo(number: int) -> bytes:
    """Return a small photo that is like no other number's."""
    blocks = np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(blocks).resize((256, 256), Image.Resampling.BICUBIC).save(stream, "JPEG")
    return stream.getvalue()


def main(records: int, tasks: int) -> None:
    """Measure a tenth, then all of it, and print the table."""
    with tempfile.TemporaryDirectory() as name, servers(Path(name)) as environment:
        folder = Path(name)
        corpus = str(transform(write_corpus(folder / "corpus.zip", 60, 0), folder / "corpus", workers=1))
        os.environ.update(environment)
        places = []
        for size in (10, 1):
            place = folder / f"tenth-{size}"
            place.mkdir()
            uri = f"s3://scale-{records // size}/feedback"
            own = environment | {
                "SNAP2CAPTION_FEEDBACK_URI": uri,
                "SNAP2CAPTION_DATASETS_URI": f"s3://scale-{records // size}/datasets",
                "SNAP2CAPTION_STATE_DIR": str(place / "state"),
                "SNAP2CAPTION_LABEL_STUDIO_PROJECT": f"Scale {records // size}",
            }
            places.append(Place(records // size, tasks // size, own, place, open_store(uri)))
            measure(places[-1], corpus)
        print(markdown(*places))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
