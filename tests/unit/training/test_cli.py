import pytest
import typer
from typer.testing import CliRunner

from training import cli

pytestmark = pytest.mark.unit


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer(rich_markup_mode=None)
    cli.register(app)
    return app


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("gate.margn=0.02", "gate.margn is not a setting; did you mean margin?"),
        ("training.num_train_epochs=2", "'training.num_train_epochs=2' changes the training, which is over"),
        ("gate.margin=high", "gate.margin should be a number"),
    ],
)
def test_a_wrong_rule_of_the_gate_is_told_first(
    app: typer.Typer, monkeypatch: pytest.MonkeyPatch, override: str, sentence: str
) -> None:
    monkeypatch.setenv("SNAP2CAPTION_MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    done = CliRunner().invoke(app, ["gate", "run", override])
    # 1 would be a refusal.
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert sentence in line
