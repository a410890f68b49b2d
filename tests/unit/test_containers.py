"""The images, as far as they can be checked without Docker."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from supply_chain.images import listed

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PARTS = ("serving", "training")

Instructions = list[tuple[str, str]]


def read(part: str) -> Instructions:
    """Each instruction of a part's Dockerfile with its arguments, continued lines joined."""
    text = (ROOT / part / "Dockerfile").read_text()
    joined = "\n".join(line for line in text.splitlines() if line and not line.startswith("#")).replace("\\\n", " ")
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines())]


def of(instructions: Instructions, name: str) -> list[str]:
    return [rest for word, rest in instructions if word == name]


def arguments(instructions: Instructions) -> dict[str, str]:
    return dict(argument.split("=", 1) for argument in of(instructions, "ARG"))


def copied(instructions: Instructions) -> set[str]:
    """What the image takes from the repository."""
    copies = [copy for copy in of(instructions, "COPY") if not copy.startswith("--from=")]
    return {source for copy in copies for source in copy.split()[:-1]}


@pytest.mark.parametrize("part", PARTS)
def test_hadolint_finds_nothing(part: str) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, ROOT / part / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("part", PARTS)
def test_all_that_it_installs_has_a_hash_in_a_lock(part: str) -> None:
    instructions = read(part)
    defaults = arguments(instructions)
    for name in (f"torch-{defaults['TORCH']}", *defaults["EXTRAS"].split(",")):
        assert (ROOT / "locks" / f"{name}.txt").exists()
    installs = [
        step
        for run in of(instructions, "RUN")
        for step in run.split("&&")
        if "install-locked" in step or "pip install" in step
    ]
    torch, *rest = installs
    assert 'scripts/install-locked python "torch-${TORCH}" --no-deps' in torch
    libraries, ours = (step.split() for step in rest)
    assert libraries == ["scripts/install-locked", "python", '"${EXTRAS}"']
    # Nothing is fetched for our own code, and nothing to build it.
    assert {"--no-deps", "--no-build-isolation"} < set(ours)


def test_the_page_is_built_from_its_locks_and_no_package_runs_code() -> None:
    runs = [run for run in of(read("serving"), "RUN") if "scripts/npm" in run]
    assert [run.split()[3:] for run in runs] == [["ci", "--ignore-scripts"], ["run", "build"]]


@pytest.mark.parametrize("part", PARTS)
def test_libraries_are_installed_before_our_code_is_copied(part: str) -> None:
    steps = [f"{word} {rest}" for word, rest in read(part)]
    libraries = next(index for index, step in enumerate(steps) if "${EXTRAS}" in step)
    code = next(index for index, step in enumerate(steps) if step.startswith(f"COPY {part}"))
    assert libraries < code


@pytest.mark.parametrize("part", PARTS)
def test_it_holds_no_other_part(part: str) -> None:
    sources = copied(read(part))
    assert all((ROOT / source).exists() for source in sources)
    assert {source for source in sources if (ROOT / source / "__init__.py").exists()} == {"snap2caption", part}


def test_what_is_copied_is_let_in_and_nothing_else_is() -> None:
    first, *rest = [
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")
    ]
    assert first == "*"
    let_in = {line.removeprefix("!") for line in rest if line.startswith("!")}
    sources = {source for part in PARTS for source in copied(read(part))}
    covering = {path for source in sources for path in (source, *map(str, Path(source).parents)) if path in let_in}
    assert let_in == covering
    assert all(let_in & {source, *map(str, Path(source).parents)} for source in sources)
    # What was built outside of the image is not what it holds.
    assert {"frontend/node_modules", "serving/page/dist"} < set(rest)


@pytest.mark.parametrize(
    ("part", "entry"),
    [("serving", '["python3", "-m", "snap2caption"]'), ("training", '["snap2caption"]')],
)
def test_it_runs_as_a_numbered_user_and_starts_our_command(part: str, entry: str) -> None:
    instructions = read(part)
    assert of(instructions, "USER")[-1] not in {"0", "root"}
    assert of(instructions, "USER")[-1].isdecimal()
    assert of(instructions, "ENTRYPOINT") == [entry]
    assert arguments(instructions)["BASE"] in {str(image) for image in listed(ROOT)}


@pytest.mark.parametrize("part", PARTS)
def test_no_secret_has_a_place_in_it(part: str) -> None:
    instructions = read(part)
    names = " ".join(of(instructions, "ARG") + of(instructions, "ENV")).upper()
    assert not re.search(r"SECRET|TOKEN|PASSWORD|ACCESS_KEY|API_KEY", names)


def test_the_service_tells_its_health() -> None:
    (check,) = of(read("serving"), "HEALTHCHECK")
    assert "/healthz" in check


@pytest.mark.parametrize("part", PARTS)
def test_what_is_written_is_the_users_alone(part: str) -> None:
    """Its folder, and whatever is in it: the command sets the umask (`tests/unit/snap2caption/test_main.py`), and
    nothing else is run.
    """
    instructions = read(part)
    (user,) = (run for run in of(instructions, "RUN") if "useradd" in run)
    assert "install --directory --mode=0700 --owner=snap2caption" in user
    (entry,) = of(instructions, "ENTRYPOINT")
    assert entry in {'["python3", "-m", "snap2caption"]', '["snap2caption"]'}


def test_each_image_has_a_bill_of_materials() -> None:
    makefile = (ROOT / "Makefile").read_text()
    sbom = makefile.partition("\nsbom:")[2].partition("\n\n")[0]
    images = set(re.findall(r"^image-(\w+):", makefile, re.MULTILINE))
    assert images == {"serving", "gateway", "training"}
    assert set(re.findall(r"&& sbom (\w+)", sbom)) == images
