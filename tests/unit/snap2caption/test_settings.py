from pathlib import Path

import pytest

from snap2caption import settings
from snap2caption.settings import ROOT, Settings

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STATE_DIR", "DATASETS_URI", "FEEDBACK_URI"):
        monkeypatch.delenv(f"SNAP2CAPTION_{name}", raising=False)


def test_a_checkout_keeps_its_state_in_itself() -> None:
    assert Settings().state_dir == ROOT / ".snap2caption"
    assert Settings().models_dir == ROOT / "models"
    assert Settings().configs_dir == ROOT / "configs"


def test_an_installed_package_keeps_its_state_with_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "ROOT", tmp_path / "site-packages")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    state = Settings().state_dir
    assert state.is_relative_to(tmp_path / "home")
    assert state.name == "snap2caption"


def test_datasets_and_feedback_lie_in_the_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SNAP2CAPTION_STATE_DIR", "state")
    assert Settings().datasets_uri == (tmp_path / "state" / "datasets").as_uri()
    assert Settings().feedback_uri == (tmp_path / "state" / "feedback").as_uri()
