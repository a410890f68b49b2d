import stat
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from patience import LONGEST

from snap2caption.settings import ROOT

pytestmark = pytest.mark.unit

HEAVY = "airflow boto3 duckdb matplotlib mlflow pandas peft pyarrow swiftclient torch transformers"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "snap2caption", *arguments], capture_output=True, text=True, timeout=LONGEST, check=False
    )


def test_help_lists_every_stage() -> None:
    result = run("--help")
    assert result.returncode == 0
    for command in (
        "sample-corpus",
        "sample-export",
        "extract",
        "transform",
        "transform-plan",
        "transform-slice",
        "transform-merge",
        "load",
        "inspect",
        "train",
        "evaluate",
        "score",
        "promote",
        "rollback",
        "caption",
        "serve",
        "demo",
        "dags",
    ):
        assert command in result.stdout


def test_the_version_is_the_installed_packages() -> None:
    assert run("--version").stdout == f"snap2caption {version('snap2caption')}\n"


def test_airflow_is_told_where_the_dags_are() -> None:
    folder = Path(run("dags", "--path").stdout.strip())
    assert folder == ROOT / "dags"
    assert run("dags").stdout.split() == sorted(file.stem.removesuffix("_dag") for file in folder.glob("*_dag.py"))


def test_assembling_the_commands_loads_nothing_heavy() -> None:
    code = f"import sys; from snap2caption.__main__ import build_app; build_app(); print(sorted(set('{HEAVY}'.split()) & sys.modules.keys()))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LONGEST, check=True)
    assert result.stdout.strip() == "[]"


def test_a_mistake_ends_with_one_sentence_and_status_1() -> None:
    result = run("transform", "nowhere.zip", "--out", "nowhere")
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_what_a_command_writes_is_its_users_alone(tmp_path: Path) -> None:
    corpus = ["sample-corpus", "--out", str(tmp_path / "new" / "corpus.zip"), "--pairs", "4"]
    command = [sys.executable, "-m", "snap2caption", *corpus]
    subprocess.run(command, capture_output=True, timeout=LONGEST, check=True, umask=0)
    written = [tmp_path / "new", *(tmp_path / "new").iterdir()]
    assert len(written) > 1
    assert [stat.S_IMODE(path.stat().st_mode) & 0o077 for path in written] == [0] * len(written)


def test_a_wrong_call_has_status_2() -> None:
    assert run("transform").returncode == 2
    assert run("no-such-command").returncode == 2
