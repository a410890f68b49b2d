"""Commands of the ETL: what they hand to the stages."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from etl import load
from snap2caption.__main__ import build_app
from snap2caption.errors import UserError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("given", "uri"), [([], "s3://datasets/versions"), (["file:///mnt/data"], "file:///mnt/data")])
def test_a_version_goes_where_datasets_are_kept(given: list[str], uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []

    def note(dataset: Path, destination: str, **_: object) -> str:
        loaded.append((dataset, destination))
        return f"{destination}/version"

    monkeypatch.setattr(load, "load", note)
    monkeypatch.setenv("SNAP2CAPTION_DATASETS_URI", "s3://datasets/versions")
    result = CliRunner().invoke(build_app(), ["load", "version", *given])
    assert result.stdout == f"{uri}/version\n"
    assert loaded == [(Path("version"), uri)]


@pytest.mark.parametrize(
    ("options", "told"), [(["--sample", "50"], "add --dry-run"), (["--dry-run"], "give its settings with --curation")]
)
def test_options_of_a_dry_run_go_together(options: list[str], told: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(build_app(), ["transform", "corpus.zip", "--out", str(tmp_path), *options])
    assert isinstance(result.exception, UserError)
    assert told in str(result.exception)
