"""Captioning without a service."""

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from serving.http.schemas import Options
from serving.models.served_model import ServedModel
from serving.offline import caption
from serving.settings import ServingSettings

if TYPE_CHECKING:
    from conftest import ScriptedEngine

pytestmark = pytest.mark.unit


def test_an_adapter_that_a_service_may_use_stays_loaded(
    served: ServedModel, engine: "ScriptedEngine", photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = SimpleNamespace(refresh=lambda: None, current=lambda: served)
    monkeypatch.setattr(caption, "make_manager", lambda *_, **__: manager)
    with caption.open_captioner(ServingSettings()) as caption_post:
        assert caption_post([photo], Options()).caption == "Golden hour ✨"
    # Closing a remote engine unloads its adapter from the server, under the name that a service has given it, too.
    assert not engine.closed
