"""A model by name that can't be served yet."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from serving.models.probe import BrokenModelError
from serving.models.untrained import UntrainedModel

if TYPE_CHECKING:
    from conftest import ScriptedEngine

pytestmark = pytest.mark.unit


class _OneEngine:
    """A loader of one engine."""

    def __init__(self, engine: "ScriptedEngine") -> None:
        self._engine = engine

    def load(self, *_: Any) -> Any:
        raise AssertionError("no adapter is asked for")

    def load_untrained(self, model: str) -> Any:
        assert model == "some-model"
        return self._engine


def test_a_model_that_writes_nothing_is_closed_and_tried_later(engine: "ScriptedEngine", tmp_path: Path) -> None:
    engine.text = ""
    model = UntrainedModel("some-model", _OneEngine(engine), tmp_path)
    assert model.due
    with pytest.raises(
        BrokenModelError, match=r"^some-model can't be served: it generated no caption .* another model\.$"
    ):
        model.load()
    assert engine.closed
    assert not model.due
    first = model._wait
    with pytest.raises(BrokenModelError):
        model.load()
    assert model._wait == 2 * first


def test_a_model_that_captions_has_no_version(engine: "ScriptedEngine", tmp_path: Path) -> None:
    served = UntrainedModel("some-model", _OneEngine(engine), tmp_path).load()
    assert (served.engine, served.version, len(served.hashtags)) == (engine, None, 0)
    assert not engine.closed


def test_the_test_caption_has_room_for_an_introduction(engine: "ScriptedEngine", tmp_path: Path) -> None:
    engine.token_factor = 2
    UntrainedModel("some-model", _OneEngine(engine), tmp_path).load()
    assert engine.limits == [96]


def test_without_a_probe_nothing_is_generated(engine: "ScriptedEngine", tmp_path: Path) -> None:
    UntrainedModel("some-model", _OneEngine(engine), tmp_path, probes=False).load()
    assert not engine.limits
