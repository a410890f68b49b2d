"""Airflow in processes of its own, since importing it warns about itself; each with a home of its own and SQLite."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from patience import LONGEST

from snap2caption.settings import ROOT

RunAirflow = Callable[..., Any]

QUICKLY = "from snap2caption.runtime.garbage_collection import collect_less; collect_less()\n"


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of Airflow with the tables in its database: making them takes longer than most tests, so workers share
    one.
    """
    # What the workers of pytest-xdist have in common.
    shared = tmp_path_factory.getbasetemp().parent
    home = shared / "migrated-airflow"
    with FileLock(shared / "migrated-airflow.lock"):
        if not home.is_dir():
            fresh = tmp_path_factory.mktemp("airflow")
            _run(fresh, {}, "-m", "airflow", "db", "migrate")
            fresh.rename(home)
    return home


@pytest.fixture
def run_airflow(migrated: Path, tmp_path: Path) -> RunAirflow:
    """Run a program beside Airflow; ``run_airflow(dags, program, *arguments, NAME=value)`` returns what it prints
    last, as JSON.
    """
    return _runner(migrated, tmp_path / "airflow")


@pytest.fixture(scope="module")
def run_airflow_once(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> RunAirflow:
    """As `run_airflow`, for what several tests look at."""
    return _runner(migrated, tmp_path_factory.mktemp("home") / "airflow")


def _runner(migrated: Path, home: Path) -> RunAirflow:
    shutil.copytree(migrated, home)

    def run(dags: Path, program: str, *arguments: str, **environment: str) -> Any:
        named = {"AIRFLOW__CORE__DAGS_FOLDER": str(dags), **environment}
        return json.loads(_run(home, named, "-c", QUICKLY + program, str(dags), *arguments).splitlines()[-1])

    return run


def _run(home: Path, environment: Mapping[str, str], *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *command],
        capture_output=True,
        text=True,
        cwd=home,
        timeout=LONGEST,
        check=False,
        env={
            **os.environ,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(home / "plugins"),
            # The configuration that the first start wrote names the place where it was written.
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
            **environment,
        },
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout
