"""The loop after deliveries of the webhook that came never, once, and five times: what it made is the same."""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import patience
import pytest
from contents import DATED, read
from feedbacks import draw
from patience import until
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from web_server import listening

from demo.corpus.archive import write_corpus
from etl.feedback.build import build
from etl.feedback.collect import collect
from etl.feedback.kinds import Shares
from etl.feedback.label_studio.annotations import pull
from etl.feedback.label_studio.project import AnnotationProject, open_project
from etl.feedback.label_studio.settings import LabelStudioSettings
from etl.feedback.label_studio.signature import HEADER, age_of, sign
from etl.feedback.label_studio.tasks import push
from etl.feedback.label_studio.webhook import create_app
from etl.feedback.ledger import NEWEST, FeedbackVersion, entry
from etl.feedback.retraining import new_since, note_retraining
from etl.feedback.sample import open_records, sample
from etl.feedback.validate import validate
from etl.transform import transform
from snap2caption.datasets.version import DatasetVersion
from snap2caption.store import ObjectStore, open_store

if TYPE_CHECKING:
    from conftest import Feedbacks

pytestmark = pytest.mark.integration

SECRET = "sixteen-characters-or-more"
NUMBERS = range(1, 4)
TIMES = (0, 1, 5)


@dataclass
class Recorder:
    """What Label Studio delivers to, which passes nothing on."""

    bodies: list[bytes] = field(default_factory=list)

    async def take(self, request: Request) -> Response:
        assert age_of(request.headers[HEADER], SECRET) is not None
        self.bodies.append(await request.body())
        return Response(status_code=204)

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/", self.take, methods=["POST"])])


@dataclass
class Installation:
    """A store of feedback with its datasets; Label Studio is shared."""

    store: ObjectStore
    photos_uri: str
    folder: Path
    corpus: Path
    project: AnnotationProject
    events: int = 0
    trained: list[str] = field(default_factory=list)

    def raise_event(self) -> None:
        self.events += 1

    def run(self) -> None:
        """Do what the DAG does."""
        collect(self.store)
        sample(self.store, Shares(random=1.0), 0)
        push(self.project, self.store, open_records(self.store), self.photos_uri)
        pull(self.project, self.store)
        if not new_since(self.store, validate(self.store).usable):
            return
        datasets = (self.folder / "datasets").as_uri()
        built = build(self.store.uri, datasets, str(self.corpus), self.folder / "state", seed=0, workers=1)
        self.trained.append(built.version)
        note_retraining(self.store, built.uri)

    def result(self) -> dict[str, object]:
        """Return all that it made, but for times of its own and where it lies."""
        newest = entry(self.store, NEWEST, FeedbackVersion)
        assert newest is not None
        ledgers = ("batches/", "samples/", "annotations/", "label-studio/")
        dataset = DatasetVersion.open(newest.uri)
        return {
            "trained": self.trained,
            "retrainings": [info.key for info in self.store.list("retrainings/")],
            "objects": sorted(info.key for info in self.store.list()),
            "ledgers": {key: read(self.store, key) for key in keys(self.store) if key.startswith(ledgers)},
            "version": dataset.manifest.version,
            "files": {file.name: file.sha256 for file in dataset.manifest.files() if file.name not in DATED},
            "samples": dataset.manifest.feedback,
        }


def keys(store: ObjectStore) -> list[str]:
    return [info.key for info in store.list()]


def tasks(project: AnnotationProject) -> list[tuple[int | None, str, int | None]]:
    found = project.client.tasks.list(project=project.id, fields="task_only")
    return sorted((task.id, task.meta["feedback"], task.total_annotations) for task in found)


def test_missed_and_repeated_deliveries_have_the_same_effect(
    configured: Callable[..., LabelStudioSettings], feedbacks: "Feedbacks", tmp_path: Path
) -> None:
    corpus = transform(write_corpus(tmp_path / "corpus.zip", 40, 0), tmp_path / "corpus", workers=1)
    for number in NUMBERS:
        feedbacks.add(number, picture=Image.open(io.BytesIO(draw(number))))
    recorder = Recorder()
    with (
        listening(recorder.app) as recorded,
        open_project(configured(webhook_url=recorded, webhook_secret=SECRET)) as project,
    ):
        first = Installation(feedbacks.store, feedbacks.uri, tmp_path, corpus, project)
        first.run()
        assert first.trained == []
        start = {key: read(feedbacks.store, key) for key in keys(feedbacks.store)}
        for number, (task, *_) in enumerate(tasks(project)):
            text = {"text": [f"A corrected caption number {number}."]}
            words = {"from_name": "caption", "to_name": "photo", "type": "textarea", "value": text}
            project.client.annotations.create(id=task or 0, result=[words])
        until(lambda: len(recorder.bodies) == len(NUMBERS))
        annotated = tasks(project)

        results = []
        for times in TIMES:
            installation = Installation(
                open_store(f"{feedbacks.uri}-{times}"), feedbacks.uri, tmp_path / str(times), corpus, project
            )
            for key, data in start.items():
                installation.store.put(key, data, sha256=hashlib.sha256(data).hexdigest())
            with listening(create_app(SECRET, installation.raise_event, lambda: None)) as receiver:
                for body in recorder.bodies * times:
                    answer = patience.post(receiver, content=body, headers={HEADER: sign(SECRET)})
                    assert answer.status_code == httpx.codes.NO_CONTENT
            assert installation.events == min(times, 1) * len(NUMBERS)
            # Each event is a run at worst, and each day has one of its own: it finds what none told of.
            for _ in range(installation.events + 1):
                installation.run()
            assert tasks(project) == annotated
            results.append(installation.result())
    assert len(annotated) == len(NUMBERS)
    never, once, five_times = results
    assert len(never["trained"]) == 1
    assert never == once == five_times
