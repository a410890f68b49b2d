import io
import threading
from collections.abc import Iterator, Sequence

import postgres_server
import pytest
from databases import closed_afterwards, new_database
from patience import LONGEST
from PIL import Image
from pydantic import SecretStr

from serving.engines.base import Event, GenerationChunk, GenerationRequest, GenerationResult
from serving.models.served_model import ServedModel
from snap2caption.hashtags.table import HashtagTable
from snap2caption.post import Request, build_prompt
from snap2caption.registry.versions import ModelVersion


class ScriptedEngine:
    """An engine that writes scripted texts and can be paused. The model itself is tested with the real engine."""

    def __init__(self, text: str = "Golden hour ✨\n#sf #sunset", version: str = "test/1") -> None:
        self.version = version
        self.token_factor = 1
        self.reads_ahead = False
        self.text = text
        self.texts: list[str] = []
        """What it writes first, one after another."""
        self.prompts: list[str] = []
        self.requests: list[Request] = []
        self.tasks: list[GenerationRequest] = []
        self.limits: list[int] = []
        self.batches: list[int] = []
        self.dropped: list[GenerationRequest] = []
        self.closed = False
        self.poison: str | None = None
        self.go = threading.Event()
        self.go.set()
        self.started = threading.Event()

    def fit(self, task: GenerationRequest) -> Request:
        return task.request

    def add(self, tasks: Sequence[GenerationRequest]) -> None:
        self.tasks += tasks

    def step(self) -> list[Event]:
        self.started.set()
        self.go.wait(LONGEST)
        tasks, self.tasks = self.tasks, []
        if self.poison and any(self.poison in build_prompt(task.request) for task in tasks):
            raise RuntimeError(f"a {self.poison} photo")
        self.batches.append(len(tasks))
        self.prompts += [build_prompt(task.request) for task in tasks]
        self.requests += [task.request for task in tasks]
        self.limits += [task.max_new_tokens for task in tasks]
        return [(task, what) for task in tasks for what in self.write(task)]

    def write(self, task: GenerationRequest) -> list[GenerationChunk | GenerationResult]:
        texts = tuple(self.texts.pop(0) if self.texts else self.text for _ in task.decodings)
        words = texts[0].split(" ") if task.stream else []
        pieces = [GenerationChunk(0, " ".join(words[:number])) for number in range(1, len(words) + 1)]
        return [*pieces, GenerationResult(texts, "A red bridge.", 5)]

    def drop(self, task: GenerationRequest) -> None:
        self.dropped.append(task)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def served(engine: ScriptedEngine) -> ServedModel:
    return ServedModel(
        engine,
        HashtagTable.from_rows([{"tag": "photo", "count": 3, "cities": [{"city": "chicago", "count": 3}], "with": []}]),
        ModelVersion(1, "run", "base", "rev", "data", "file:///nowhere"),
    )


@pytest.fixture
def photo() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(stream, "JPEG")
    return stream.getvalue()


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real PostgreSQL."""
    with postgres_server.run(tmp_path_factory.mktemp("postgresql")) as uri:
        yield uri


@pytest.fixture
def database_url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[SecretStr | None]:
    """The database of the state: SQLite's files, or PostgreSQL where the test asks for it by a parameter."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield None
        return
    with new_database(request.getfixturevalue("postgresql")) as url, closed_afterwards(monkeypatch):
        yield SecretStr(url)
