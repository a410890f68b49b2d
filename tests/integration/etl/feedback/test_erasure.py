"""Erasure, checked by searching every place afterwards: store, dataset versions, outbox, voices, Label Studio, logs,
temporary files.
"""

import io
import json
import os
import signal
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import patience
import pytest
from contents import read
from creators import creator, headers
from demo_service import DemoService, demo_service
from feedbacks import draw
from intake_process import intake
from patience import LONGEST, until
from PIL import Image
from traces import traces
from victims import running

from demo.corpus.archive import write_corpus
from etl.feedback.build import BuiltVersion, build
from etl.feedback.collect import collect
from etl.feedback.kinds import Shares
from etl.feedback.label_studio.annotations import pull
from etl.feedback.label_studio.project import open_project
from etl.feedback.label_studio.settings import LabelStudioSettings
from etl.feedback.label_studio.tasks import erase, push
from etl.feedback.reporting.report import RetrainingSummary, write_report
from etl.feedback.sample import open_records, sample
from etl.feedback.withdrawal.withdraw import withdraw
from etl.transform import transform
from snap2caption.datasets.version import DatasetVersion
from snap2caption.errors import UserError
from snap2caption.feedback import Erasure, Feedback, photo_key
from snap2caption.store import ObjectStore, open_store

if TYPE_CHECKING:
    from conftest import AnnotationServer

pytestmark = pytest.mark.integration

ANA, BEN = (f"{name}-{uuid.uuid4().hex}" for name in ("ana", "ben"))
"""Keys that are like nothing else on the disk."""


@dataclass
class Said:
    """One feedback, and all of it by which it could be found again."""

    key: str
    number: int
    id: str = ""
    stored: bytes = b""
    """The photo as it is stored."""
    digest: str = ""
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def caption(self) -> str:
        return f"The zebra {self.mark} crosses our lake."

    @property
    def tag(self) -> str:
        return f"tag{self.mark}"

    @property
    def place(self) -> str:
        return f"Pier {self.mark}"

    @property
    def annotated(self) -> str:
        return f"The {self.mark} zebra crosses the lake"

    @property
    def secret(self) -> str:
        return f"home of {self.mark}"

    @property
    def photo(self) -> bytes:
        """A photo as a camera writes it, with a secret in its metadata."""
        stream, exif = io.BytesIO(), Image.Exif()
        exif[0x010E] = self.secret
        Image.open(io.BytesIO(draw(self.number))).save(stream, "JPEG", quality=95, exif=exif)
        return stream.getvalue()

    @property
    def needles(self) -> dict[str, bytes]:
        # The middle of a JPEG: its beginning is the same for all.
        middle = len(self.stored) // 2
        texts = {name: getattr(self, name) for name in ("caption", "tag", "place", "annotated", "secret", "digest")}
        found = {name: text.encode() for name, text in texts.items()} | {"bytes": self.stored[middle : middle + 60]}
        return {f"{self.number} {name}": needle for name, needle in found.items()}


class Installation:
    """A service, a store, a corpus, and the loop's steps over them."""

    def __init__(self, folder: Path, corpus: Path, server: "AnnotationServer", project: LabelStudioSettings) -> None:
        self.folder = folder
        self.corpus = corpus
        self.server = server
        self.project = project
        self.store = open_store(server.files.as_uri())

    @property
    def roots(self) -> dict[str, Path]:
        """Every place that anything of ours or of Label Studio's writes to."""
        return {
            "store": self.server.files,
            "datasets": self.folder / "datasets",
            "state": self.folder / "state",
            "service": self.folder / "service",
            "temporary": self.folder / "temporary",
            "label studio": self.server.folder,
        }

    def search(self, *said: Said, **more: bytes) -> dict[str, set[str]]:
        needles = {name: needle for one in said for name, needle in one.needles.items()} | more
        return traces(self.roots, needles, {f"{one.number} picture": one.stored for one in said})

    def ask(self) -> None:
        """Make tasks of what creators said."""
        collect(self.store)
        sample(self.store, Shares(random=1.0), 0)
        with open_project(self.project) as project:
            push(project, self.store, open_records(self.store), self.store.uri)

    def annotate(self, said: list[Said]) -> None:
        """Have two people complete each task and a third begin, and an operator export the project in both ways."""
        of = {one.id: one for one in said}
        with open_project(self.project) as project:
            name = f"{uuid.uuid4().hex}@example.com"
            other = project.client.users.create(username=name[:30], email=name, password=uuid.uuid4().hex)
            for task in list(project.client.tasks.list(project=project.id, fields="task_only")):
                one = of[task.meta["feedback"]]
                project.client.annotations.create(id=task.id, result=written(f"{one.annotated}."))
                project.client.annotations.create(
                    id=task.id, result=written(f"{one.annotated}!"), completed_by=other.id
                )
                self._call("POST", f"/api/tasks/{task.id}/drafts", json={"result": written(f"{one.annotated}?")})
            snapshot = project.client.projects.exports.create(project.id)
            assert snapshot.id is not None
            where = {"exportType": "JSON", "download_all_tasks": "true"}
            self._call("GET", f"/api/projects/{project.id}/export", params=where)
            pulled = pull(project, self.store)
        assert len(pulled.new) == 2 * len(said)

    def build(self) -> BuiltVersion:
        datasets = (self.folder / "datasets").as_uri()
        return build(self.store.uri, datasets, str(self.corpus), self.folder / "state", seed=0, workers=1)

    def clean(self) -> None:
        """Do what the DAG does of erasures, and what docs/operations.md tells an operator to."""
        datasets, state = (self.folder / "datasets").as_uri(), self.folder / "state"
        withdraw(self.store.uri, datasets, state, state / "shards")
        with open_project(self.project) as project:
            erase(project, self.store)
            pull(project, self.store)
            assert project.client.projects.exports.list(project.id) == []
        data = self.server.folder / "label-studio"
        for folder in ("export", "media/export"):
            for file in (data / folder).rglob("*.json"):
                file.unlink()
        with closing(sqlite3.connect(data / "label_studio.sqlite3", timeout=LONGEST)) as connection:
            connection.execute("VACUUM")
        write_report(self.store, RetrainingSummary(), self.folder / "state" / "report.html")

    def _call(self, method: str, path: str, **given: Any) -> None:
        token = {"Authorization": f"Token {self.server.access.token}"}
        patience.request(method, f"{self.server.access.url}{path}", headers=token, **given).raise_for_status()


def written(caption: str) -> list[dict[str, Any]]:
    return [{"from_name": "caption", "to_name": "photo", "type": "textarea", "value": {"text": [caption]}}]


def records(store: ObjectStore) -> dict[str, Feedback]:
    return {
        found.id: found
        for found in (Feedback.model_validate_json(read(store, info.key)) for info in store.list("records/"))
    }


@contextmanager
def away(folder: Path) -> Iterator[None]:
    """Have a folder away, as one is whose mount failed."""
    aside = folder.with_name(f"{folder.name}-aside")
    folder.rename(aside)
    folder.touch()
    try:
        yield
    finally:
        folder.unlink()
        aside.rename(folder)


def kept(said: list[Said], found: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return what was *found* of some of it, where it is to stay: dataset versions are withdrawn as a whole, and no
    outbox or log may hold it.
    """
    wanted = {str(one.number) for one in said}
    return {
        name: places & {"store", "label studio"} for name, places in found.items() if name.partition(" ")[0] in wanted
    }


def samples(built: BuiltVersion) -> set[str]:
    origin = DatasetVersion.open(built.uri).manifest.feedback
    assert origin is not None
    return set(origin.samples)


def send(url: str, one: Said, *, of_request: bool) -> None:
    """Send a feedback, as it is said, on a caption that the service wrote or on a photo of her own."""
    asked = {"tone": "witty", "location": one.place}
    said = {"edited_caption": one.caption, "edited_hashtags": f"{one.tag} lake", "reason": "too_short", "rating": "2"}
    files, caller = {"image": one.photo}, headers(one.key)
    if of_request:
        kept = asked | {"keep_for_feedback": "true"}
        answer = patience.post(f"{url}/generate-caption", files=files, data=kept, headers=caller)
        about = {"request_id": answer.raise_for_status().json()["request_id"]}
        fields = said | about | {"rating": 2, "edited_hashtags": [one.tag, "lake"]}
        answer = patience.post(f"{url}/v1/feedback", json=fields, headers=caller)
    else:
        about = asked | {"caption": "A lake."}
        answer = patience.post(f"{url}/v1/feedback", files=files, data=said | about, headers=caller)
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text
    one.id = answer.json()["id"]


@pytest.fixture
def installation(
    tmp_path: Path,
    annotation_server: "AnnotationServer",
    configured: Callable[..., LabelStudioSettings],
    monkeypatch: pytest.MonkeyPatch,
) -> Installation:
    (tmp_path / "temporary").mkdir()
    (tmp_path / "service").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    corpus = transform(write_corpus(tmp_path / "corpus.zip", 40, 0), tmp_path / "corpus", workers=1)
    return Installation(tmp_path, corpus, annotation_server, configured(annotators=2))


@pytest.fixture
def service(installation: Installation) -> Iterator[DemoService]:
    hashes = json.dumps([creator(key) for key in (ANA, BEN)])
    uri = installation.store.uri
    with demo_service(installation.folder / "service", feedback_uri=uri, api_key_hashes=hashes) as found:
        yield found


def test_what_was_erased_is_nowhere_and_the_rest_is_left(installation: Installation, service: DemoService) -> None:
    store = installation.store
    first, second = Said(ANA, 1), Said(ANA, 2)
    bens = [Said(BEN, number) for number in range(3, 7)]
    everything = [first, second, *bens]
    for one in everything:
        send(service.url, one, of_request=one is first)
    until(lambda: len(records(store)) == len(everything))
    for one in everything:
        one.digest = records(store)[one.id].photo
        one.stored = read(store, photo_key(one.digest))
    installation.ask()
    installation.annotate(everything)
    built = installation.build()
    assert samples(built) == {one.id for one in everything}
    dataset = DatasetVersion.open(built.uri)
    for split in dataset.manifest.splits.values():
        for shard in split.shards:
            dataset.fetch(shard, installation.folder / "state" / "shards")
    write_report(store, RetrainingSummary(), installation.folder / "state" / "report.html")

    # The search finds what is there: else that it finds nothing says nothing.
    before = installation.search(*everything, creator=creator(ANA).encode())
    for one in everything:
        found = {name.partition(" ")[2]: places for name, places in before.items() if name.startswith(f"{one.number} ")}
        assert found["caption"] >= {"store", "service", "label studio", "state"}
        assert found["annotated"] >= {"store", "datasets", "state", "label studio"}
        assert found["picture"] >= {"store", "datasets", "state"}
        assert found["digest"] >= {"store", "label studio"}
        assert found["tag"] >= {"store", "label studio"}
        assert "secret" not in found
    assert before["creator"] == {"store", "service"}

    # One of hers.
    answer = patience.delete(f"{service.url}/v1/feedback/{first.id}", headers=headers(ANA))
    assert (answer.status_code, answer.json()) == (httpx.codes.OK, {"erased": True})
    installation.clean()
    assert installation.search(first) == {}
    assert Erasure.model_validate_json(read(store, f"erased/{first.id}.json")).id == first.id
    # What she did not name, and what others said, is where it was.
    others = [second, *bens]
    assert kept(others, installation.search(*others)) == kept(others, before)
    again = installation.build()
    assert samples(again) == {one.id for one in others}
    assert installation.search(first) == {}

    # All of hers, while the store is away and Label Studio too; and whoever took it on is killed.
    installation.server.kill()
    with away(installation.server.files):
        answer = patience.delete(f"{service.url}/v1/feedback", headers=headers(ANA))
        assert (answer.status_code, answer.json()) == (httpx.codes.ACCEPTED, {"erased": False})
        os.kill(service.pid, signal.SIGKILL)
    assert set(records(store)) == {one.id for one in (second, *bens)}
    with pytest.raises(UserError, match="can't be reached"):
        installation.clean()
    with running(intake(service.folder, store.uri), installation.folder):
        until(lambda: set(records(store)) == {one.id for one in bens})
        until(lambda: not list(store.list(f"creators/{creator(ANA)}/")))
        # The service's own file is rid of them a moment after the store is.
        until(lambda: "service" not in installation.search(creator=creator(ANA).encode()).get("creator", ()))
    installation.server.start()
    installation.clean()
    assert installation.search(first, second, creator=creator(ANA).encode(), key=ANA.encode()) == {}
    assert kept(bens, installation.search(*bens)) == kept(bens, before)
    assert samples(installation.build()) == {one.id for one in bens}
    assert installation.search(first, second, creator=creator(ANA).encode(), key=ANA.encode()) == {}
    assert {Erasure.model_validate_json(read(store, info.key)).id for info in store.list("erased/")} >= {
        first.id,
        second.id,
    }
