"""The training image, as far as it can be checked without Docker."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
DOCKERFILE = ROOT / "training" / "Dockerfile"


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    """Each instruction with its arguments, continued lines joined."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if line and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines())]


def of(instructions: list[tuple[str, str]], name: str) -> list[str]:
    return [rest for word, rest in instructions if word == name]


def test_hadolint_finds_nothing():
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_installs_extras_that_exist_with_the_tested_versions(instructions):
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    defaults = dict(argument.split("=", 1) for argument in of(instructions, "ARG"))
    assert set(defaults["EXTRAS"].split(",")) <= set(declared)
    assert f"torch=={defaults['TORCH']}" in (ROOT / "constraints.txt").read_text().splitlines()
    (install,) = (run for run in of(instructions, "RUN") if "${EXTRAS}" in run)
    assert "--constraint constraints.txt" in install


def test_libraries_are_installed_before_our_code_is_copied(instructions):
    steps = [f"{word} {rest}" for word, rest in instructions]
    libraries = next(index for index, step in enumerate(steps) if "${EXTRAS}" in step)
    code = next(index for index, step in enumerate(steps) if step.startswith("COPY training"))
    assert libraries < code


def test_what_is_copied_exists_and_is_let_in_and_nothing_else_is(instructions):
    copied = {source for copy in of(instructions, "COPY") for source in copy.split()[:-1]}
    assert all((ROOT / source).exists() for source in copied)
    first, *rest = [
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")
    ]
    assert first == "*"
    assert {line.removeprefix("!") for line in rest if line.startswith("!")} == copied


def test_it_runs_as_a_numbered_user_and_starts_our_command(instructions):
    assert of(instructions, "USER")[-1] not in {"0", "root"}
    assert of(instructions, "USER")[-1].isdecimal()
    assert of(instructions, "ENTRYPOINT") == ['["snap2caption"]']
    assert dict(argument.split("=", 1) for argument in of(instructions, "ARG"))["BASE"].startswith("python:3.11-slim")


def test_no_secret_has_a_place_in_it(instructions):
    names = " ".join(of(instructions, "ARG") + of(instructions, "ENV")).upper()
    assert not re.search(r"SECRET|TOKEN|PASSWORD|ACCESS_KEY|API_KEY", names)
