"""A real Label Studio, over the S3 server that holds feedback and photos."""

import hashlib
import io
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from patience import LONGEST
from PIL import Image

from demo.stack.leftovers import leftovers
from demo.stack.ports import Ports
from demo.stack.service import Service
from demo.stack.services.label_studio import LabelStudioAccess, label_studio
from demo.stack.stack import Stack
from etl.feedback.label_studio.project import AnnotationProject, open_project
from etl.feedback.label_studio.settings import LabelStudioSettings
from snap2caption.feedback import Erasure, Feedback, Words, erasure_key, photo_key, record_key
from snap2caption.store import ObjectStore, open_store


@dataclass(frozen=True)
class AnnotationServer:
    """A real Label Studio, which a test may kill and start again."""

    access: LabelStudioAccess
    files: Path
    """The folder that it reads local files from."""
    folder: Path
    """What it writes: database, exports, uploads, logs, temporary files."""
    _stack: Stack
    _service: Service

    def start(self) -> None:
        self._stack.start([self._service])

    def kill(self) -> None:
        for process in leftovers(str(self._stack.state)):
            if "label-studio" in process.name():
                process.kill()
                process.wait(LONGEST)


@pytest.fixture(scope="session")
def annotation_server(
    s3_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AnnotationServer]:
    folder = tmp_path_factory.mktemp("label-studio")
    service, access = label_studio(folder, Ports(folder / "ports.json"), s3_environment)
    files = tmp_path_factory.mktemp("files")
    local = {
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(files),
        "TMPDIR": str(folder / "temporary"),
    }
    (folder / "temporary").mkdir()
    with Stack(folder) as stack:
        service = replace(service, environment={**service.environment, **local})
        server = AnnotationServer(access, files, folder, stack, service)
        server.start()
        yield server


@dataclass(frozen=True)
class Feedbacks:
    """A feedback URI of a test's own."""

    uri: str
    store: ObjectStore

    def add(self, number: int, picture: Image.Image | None = None, **others: object) -> Feedback:
        """Store a feedback with its photo."""
        photo = io.BytesIO()
        (picture or Image.new("RGB", (300, 300), (number % 256, 90, 160))).save(photo, "JPEG")
        digest = hashlib.sha256(photo.getvalue()).hexdigest()
        self.store.put(photo_key(digest), photo.getvalue(), sha256=digest)
        given = {
            "id": f"{number:032x}",
            "creator": "c" * 64,
            "received": datetime.now(UTC),
            "photo": digest,
            "shown": Words(caption=f"Caption {number}", hashtags=("chicago", "travel")),
            "rating": 2,
            "model_version": "models:/snap2caption/3",
        }
        feedback = Feedback.model_validate(given | others)
        content = feedback.model_dump_json().encode()
        self.store.put(record_key(feedback), content, sha256=hashlib.sha256(content).hexdigest())
        return feedback

    def erase(self, identifier: str) -> None:
        """Write the record that the feedback was erased."""
        content = Erasure(id=identifier, erased=datetime.now(UTC), owner="0" * 64).model_dump_json().encode()
        self.store.put(erasure_key(identifier), content, sha256=hashlib.sha256(content).hexdigest())


@pytest.fixture
def feedbacks(s3_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Feedbacks:
    for name, value in s3_environment.items():
        monkeypatch.setenv(name, value)
    uri = f"s3://snap2caption/{uuid.uuid4().hex}"
    return Feedbacks(uri, open_store(uri))


@pytest.fixture
def feedbacks_in() -> Callable[[Path], Feedbacks]:
    """Return feedback in a folder."""
    return lambda folder: Feedbacks(folder.as_uri(), open_store(folder.as_uri()))


@pytest.fixture
def configured(annotation_server: AnnotationServer) -> Callable[..., LabelStudioSettings]:
    """Return settings for a project of the test's own."""
    title, access = f"Test {uuid.uuid4().hex}", annotation_server.access

    def settings(**others: object) -> LabelStudioSettings:
        given = {"url": access.url, "token": access.token, "project": title}
        return LabelStudioSettings.model_validate(given | others)

    return settings


@pytest.fixture
def project(configured: Callable[..., LabelStudioSettings]) -> Iterator[AnnotationProject]:
    with open_project(configured()) as opened:
        yield opened
