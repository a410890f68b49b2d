import pytest
import typer
from typer.testing import CliRunner

from demo.cli import register

pytestmark = pytest.mark.unit


@pytest.fixture
def app():
    app = typer.Typer()
    app.callback()(lambda: None)
    register(app)
    return app


def test_sample_corpus_prints_the_path_alone(app, tmp_path):
    out = tmp_path / "made" / "corpus.zip"
    result = CliRunner().invoke(app, ["sample-corpus", "--out", str(out), "--pairs", "4", "--workers", "1"])
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{out}\n"
    assert out.exists()


def test_sample_export_prints_the_path_alone(app, tmp_path):
    out = tmp_path / "made" / "export.zip"
    result = CliRunner().invoke(app, ["sample-export", "--out", str(out), "--posts", "2"])
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{out}\n"
    assert out.exists()
    written = out.read_bytes()
    lower_case = CliRunner().invoke(app, ["sample-export", "--out", str(out), "--posts", "2", "--lower-case"])
    assert lower_case.exit_code == 0
    assert out.read_bytes() != written


def test_no_pairs_is_a_wrong_call(app, tmp_path):
    result = CliRunner().invoke(app, ["sample-corpus", "--out", str(tmp_path / "x.zip"), "--pairs", "0"])
    assert result.exit_code == 2
