"""The images, as far as they can be checked without Docker."""

import itertools
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from supply_chain.images import listed

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
DOCKERFILES = ("containers/Dockerfile", "tests/support/stand_ins/Dockerfile")
CODE = {
    "serving": {"snap2caption", "serving"},
    "training": {"snap2caption", "training"},
    "pipelines": {"snap2caption", "etl", "training", "dags", "plugins"},
    "mlflow": set(),
    "label-studio": set(),
    "seaweedfs": set(),
}
"""The targets, and the packages of ours that each may hold."""


@dataclass
class Stage:
    """A stage of the Dockerfile: what it is built on, and its instructions, each with its arguments."""

    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def of(self, name: str) -> list[str]:
        return [rest for word, rest in self.instructions if word == name]


def read() -> dict[str, Stage]:
    text = (ROOT / "containers" / "Dockerfile").read_text()
    joined = "\n".join(line for line in text.splitlines() if line and not line.startswith("#")).replace("\\\n", " ")
    stages = {"": Stage("")}
    for word, _, rest in (line.partition(" ") for line in joined.splitlines()):
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stages[name] = Stage(base)
        else:
            stages[[*stages][-1]].instructions.append((word, rest))
    return stages


STAGES = read()


def chain(name: str) -> list[Stage]:
    """The stage *name* and those that it is built on, the first one first."""
    stage = STAGES[name]
    return [*(chain(stage.base) if stage.base in STAGES else []), stage]


def of(target: str, instruction: str) -> list[str]:
    """All arguments of an instruction in a target's image."""
    return [rest for stage in chain(target) for rest in stage.of(instruction)]


def copied(*stages: Stage) -> set[str]:
    """What stages take from the repository."""
    copies = [copy for stage in stages for copy in stage.of("COPY") if not copy.startswith("--from=")]
    return {source for copy in copies for source in copy.split()[:-1]}


@pytest.mark.parametrize("file", DOCKERFILES)
def test_hadolint_finds_nothing(file: str) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, ROOT / file], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_all_that_is_installed_has_a_hash_in_a_lock() -> None:
    steps = [step.strip() for stage in STAGES.values() for run in stage.of("RUN") for step in re.split("&&|;", run)]
    installs = [step.split() for step in steps if "install-locked" in step or "pip install" in step]
    defaults = {
        "${EXTRAS}": ("serving", "tracing", "training", "pipelines"),
        "torch-${TORCH}": ("torch-cpu", "torch-cuda"),
    }
    for words in installs:
        if words[0] == "pip":
            # Nothing is fetched for our own code, and nothing to build it.
            assert {"--no-deps", "--no-build-isolation"} < set(words)
            continue
        name = next(word for before, word in itertools.pairwise(words) if before == "python").strip('"')
        for lock in defaults.get(name, (name,)):
            assert (ROOT / "locks" / f"{lock}.txt").exists()


def test_the_page_is_built_from_its_locks() -> None:
    runs = [run for run in STAGES["page"].of("RUN") if "scripts/npm" in run]
    assert [run.split()[3:] for run in runs] == [["ci", "--ignore-scripts"], ["run", "build"]]


@pytest.mark.parametrize("target", [target for target, code in CODE.items() if code])
def test_libraries_are_installed_before_our_code_is_copied(target: str) -> None:
    steps = [f"{word} {rest}" for word, rest in STAGES[f"{target}-build"].instructions]
    libraries = next(index for index, step in enumerate(steps) if "install-locked" in step)
    assert libraries < steps.index("COPY snap2caption snap2caption")


@pytest.mark.parametrize(("target", "code"), CODE.items())
def test_it_holds_no_other_part(target: str, code: set[str]) -> None:
    sources = copied(*chain(target), *chain(f"{target}-build"))
    assert all((ROOT / source).exists() for source in sources)
    assert {source for source in sources if (ROOT / source / "__init__.py").exists()} == code


def test_what_is_copied_is_let_in_and_nothing_else_is() -> None:
    first, *rest = [
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")
    ]
    assert first == "*"
    let_in = {line.removeprefix("!") for line in rest if line.startswith("!")}
    sources = copied(*STAGES.values())
    covering = {path for source in sources for path in (source, *map(str, Path(source).parents)) if path in let_in}
    assert let_in == covering
    assert all(let_in & {source, *map(str, Path(source).parents)} for source in sources)
    # What was built outside of the image is not what it holds.
    assert {"frontend/node_modules", "serving/page/dist"} < set(rest)


@pytest.mark.parametrize("target", CODE)
def test_it_runs_as_a_numbered_user(target: str) -> None:
    user = of(target, "USER")[-1]
    assert user.isdecimal()
    assert user != "0"
    assert of(target, "ENTRYPOINT")[-1].startswith('["with-secrets"')
    # It sets the umask: what a container writes is its user's alone.
    assert "umask 077" in (ROOT / "containers" / "bin" / "with-secrets").read_text()
    assert "install --directory --mode=0700 --owner=snap2caption" in " ".join(of(target, "RUN"))


@pytest.mark.parametrize("target", ["serving", "training"])
def test_it_starts_our_command(target: str) -> None:
    assert of(target, "ENTRYPOINT")[-1] == '["with-secrets", "python3", "-m", "snap2caption"]'


def test_the_base_is_listed() -> None:
    (base,) = [argument.partition("=")[2] for argument in STAGES[""].of("ARG")]
    assert base in {str(image) for image in listed(ROOT)}


def test_no_secret_has_a_place_in_it() -> None:
    names = " ".join(text for stage in STAGES.values() for text in stage.of("ARG") + stage.of("ENV")).upper()
    assert not re.search(r"SECRET|TOKEN|PASSWORD|ACCESS_KEY|API_KEY", names)


def test_the_service_tells_its_health() -> None:
    (check,) = of("serving", "HEALTHCHECK")
    assert "/healthz" in check


def test_each_image_has_a_bill_of_materials() -> None:
    makefile = (ROOT / "Makefile").read_text()
    sbom = makefile.partition("\nsbom:")[2].partition("\n\n")[0]
    assert set(re.findall(r"&& sbom ([a-z]+(?:-studio)?)", sbom)) == {*CODE, "etl", "gateway"}


def test_a_secret_file_becomes_a_variable(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a $value with `signs`\n")
    script = ROOT / "containers" / "bin" / "with-secrets"
    show = 'printf "%s|%s|" "$LOGIN" "${LOGIN__FILE-unset}"; umask'
    environment = {"LOGIN__FILE": str(tmp_path / "secret"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([script, "sh", "-c", show], env=environment, capture_output=True, text=True)
    assert done.stdout == "a $value with `signs`|unset|0077\n"
    environment["LOGIN__FILE"] = str(tmp_path / "none")
    done = subprocess.run([script, "true"], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "can't be read" in done.stderr
