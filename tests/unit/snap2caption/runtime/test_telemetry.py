"""Telemetry is off in all entry points: commands, services, Airflow's workers, containers, and make."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from patience import LONGEST

from snap2caption.runtime.telemetry import LIBRARIES, SERVERS
from snap2caption.settings import ROOT

pytestmark = pytest.mark.unit

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# What checks infrastructure and supply chain needs nothing of ours, nor any library that reports; make starts it.
APART = {"infra", "supply_chain", "tests"}
PACKAGES = sorted({path.parent.name for path in ROOT.glob("*/__init__.py")} - APART)
ON = {name: {"0": "1", "1": "0", "true": "false", "false": "true"}.get(value, "1") for name, value in LIBRARIES.items()}
"""What somebody may have set who wants reports."""

ASK = """
import json, sys
import {module}
import huggingface_hub.constants, mlflow.telemetry.client, mlflow.telemetry.utils, wandb.env
from ray._common.usage import usage_lib

told = {{
    "huggingface_hub": not huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY,
    "mlflow": not mlflow.telemetry.utils.is_telemetry_disabled() or mlflow.telemetry.client.get_telemetry_client() is not None,
    "ray": usage_lib.usage_stats_enabled(),
    "wandb": wandb.env.error_reporting_enabled(),
}}
print(json.dumps(told))
"""


STARTED_BY = {
    ROOT / "demo/stack/supervisor.py": ROOT / "demo/stack/services/airflow.py",
    ROOT / "demo/stack/services/airflow_standalone.py": ROOT / "demo/stack/services/airflow.py",
    ROOT / "etl/urls/guarded_download.py": ROOT / "etl/urls/downloader.py",
    ROOT / "benchmarks/etl/data_juicer_filters.py": ROOT / "benchmarks/etl/data_juicer.py",
    ROOT / "benchmarks/serving/peers/openvino_server.py": ROOT / "benchmarks/serving/peers/engines.py",
}
"""Programs that are only ever given another one's environment."""


def entry_points() -> Iterator[Path]:
    """The files that are started by themselves: the distribution's entry points, programs, DAGs, and what other
    processes are handed.
    """
    declared = [*PROJECT["scripts"].values(), *PROJECT["entry-points"]["airflow.plugins"].values()]
    declared += PROJECT["entry-points"]["airflow.policy"].values()
    for target in declared:
        yield ROOT / f"{target.partition(':')[0].replace('.', '/')}.py"
    yield from ROOT.glob("dags/*_dag.py")
    yield from (
        ROOT / "training" / name for name in ("tracking/pyfunc.py", "launch/torchrun.py", "launch/ray_cluster.py")
    )
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            if path.name == "__main__.py" or '__name__ == "__main__"' in path.read_text():
                yield path


def begins_with_ours(file: Path, seen: set[Path]) -> bool:
    """Whether importing *file* imports `snap2caption`, as it or a module of ours that it imports says at its top
    level.
    """
    if file in seen or not file.is_file():
        return False
    seen.add(file)
    names = []
    for statement in ast.parse(file.read_text()).body:
        if isinstance(statement, ast.Import):
            names += [alias.name for alias in statement.names]
        elif isinstance(statement, ast.ImportFrom):
            names += [str(statement.module), *(f"{statement.module}.{alias.name}" for alias in statement.names)]
    paths = [ROOT / name.replace(".", "/") for name in names if name.partition(".")[0] in PACKAGES]
    return (
        any(path.relative_to(ROOT).parts[0] == "snap2caption" for path in [file, *paths])
        or any(begins_with_ours(inner, seen) for path in paths for inner in (path.with_suffix(".py"), path / "__init__.py"))
    )  # fmt: skip


@pytest.mark.parametrize("file", sorted(set(entry_points())), ids=lambda file: str(file.relative_to(ROOT)))
def test_each_beginning_switches_it_off(file: Path) -> None:
    assert begins_with_ours(STARTED_BY.get(file, file), set())


@pytest.mark.parametrize("module", ["snap2caption.__main__", "plugins.operators.command"])
def test_libraries_are_silent_whatever_the_environment_says(module: str, tmp_path: Path) -> None:
    # Where continuous integration runs, MLflow holds back by itself.
    theirs = {name: value for name, value in os.environ.items() if name not in {"CI", "PYTEST_CURRENT_TEST"}}
    environment = {**theirs, **ON, "AIRFLOW_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ASK.format(module=module)],
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=True,
        env=environment,
        cwd=tmp_path,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == dict.fromkeys(
        ("huggingface_hub", "mlflow", "ray", "wandb"), False
    )


@pytest.mark.parametrize("file", sorted(ROOT.glob("*/Dockerfile*")), ids=lambda file: str(file.relative_to(ROOT)))
def test_a_container_has_the_variables(file: Path) -> None:
    assert (
        LIBRARIES.items() <= dict(re.findall(r"^(?:ENV|   ) ([A-Z_]+)=(\S*)", file.read_text(), re.MULTILINE)).items()
    )


def test_what_make_starts_has_the_variables() -> None:
    exported = dict(re.findall(r"^export (\w+) :=[ ]?(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert exported == LIBRARIES | SERVERS


def test_no_other_place_says_it_again() -> None:
    places = {ROOT / name for name in ("snap2caption/runtime/telemetry.py", "Makefile")} | set(
        ROOT.glob("*/Dockerfile*")
    )
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    assert {file for file in files if any(name in file.read_text() for name in [*LIBRARIES, *SERVERS])} <= places
