import pytest

from etl.settings import Aria2Settings
from snap2caption.errors import UserError
from snap2caption.settings import read_settings

pytestmark = pytest.mark.unit


def test_by_default_a_daemon_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNAP2CAPTION_ARIA2_URL", "")  # as a compose file passes on what is not set
    assert read_settings(Aria2Settings).url is None


def test_a_secret_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNAP2CAPTION_ARIA2_SECRET", "hush")
    settings = read_settings(Aria2Settings)
    assert "hush" not in repr(settings)
    assert settings.secret.get_secret_value() == "hush"


@pytest.mark.parametrize(("name", "value"), [("URL", "localhost:6800"), ("TIMEOUT", "0"), ("TIMEOUT", "soon")])
def test_a_wrong_variable_is_named_and_its_value_is_not(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"SNAP2CAPTION_ARIA2_{name}", value)
    with pytest.raises(UserError, match=rf"^SNAP2CAPTION_ARIA2_{name} is wrong \(.*\); correct it\.$"):
        read_settings(Aria2Settings)
