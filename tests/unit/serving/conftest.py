import io
import threading
from collections.abc import Sequence

import pytest
from PIL import Image

from serving.engine import Task, Written
from serving.models import Served
from serving.ranking import HashtagTable
from snap2caption.registry import ModelVersion


class ScriptedEngine:
    """An engine of ours that writes what it is told to, and can be held up: the model itself is tested with the real one."""

    def __init__(self, text: str = "Golden hour ✨\n#sf #sunset", version: str = "test/1") -> None:
        self.version = version
        self.text = text
        self.batches: list[int] = []
        self.poison: str | None = None
        self.go = threading.Event()
        self.go.set()
        self.started = threading.Event()

    def write(self, tasks: Sequence[Task]) -> list[Written]:
        self.started.set()
        self.go.wait(20)
        if any(task.prompt == self.poison for task in tasks):
            raise RuntimeError(f"a {self.poison} photo")
        self.batches.append(len(tasks))
        return [Written(tuple(self.text for _ in task.decodings), "A red bridge.", 5) for task in tasks]


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def served(engine: ScriptedEngine) -> Served:
    return Served(engine, HashtagTable.from_rows([]), ModelVersion(1, "run", "base", "rev", "data", "file:///nowhere"))


@pytest.fixture
def photo() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(stream, "JPEG")
    return stream.getvalue()
